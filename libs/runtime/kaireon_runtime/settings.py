"""Settings: read from the environment once, in a process's main, and refused all at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kaireon_runtime.addresses import BrokerUrl, PostgresUrl, RedisUrl, require_postgres
from kaireon_runtime.listed import listed
from kaireon_runtime.outbound import AllowList

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

SettingsT = TypeVar("SettingsT", bound=BaseSettings)

EXIT_BAD_SETTINGS = 2
SECRET_PREFIX = "KAIREON_SECRET_"  # noqa: S105 - the beginning of names

Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
Port = Annotated[int, Field(ge=1, le=65535)]


class LogFormat(StrEnum):
    """How a log line is written."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The product's level names, most urgent first."""

    ERROR = "error"
    WARN = "warn"
    INFO = "info"
    HTTP = "http"
    VERBOSE = "verbose"
    DEBUG = "debug"
    SILLY = "silly"


class Pooler(StrEnum):
    """What stands between us and Postgres."""

    AUTO = "auto"
    """Found out on each connection: the process id that the server knows is not the one that we were told."""
    NONE = "none"
    TRANSACTION = "transaction"
    """A session per transaction, without prepared statements: PgBouncer below 1.21."""
    TRANSACTION_PREPARED = "transaction-prepared"
    """A session per transaction, prepared statements kept apart: PgBouncer with `max_prepared_statements` above 0."""


class ProcessSettings(BaseSettings):
    """What every tier reads: LOG_LEVEL, LOG_FORMAT, and what a supervisor sets."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.JSON
    kaireon_parent_pid: int | None = None
    """The supervisor without which this process shall not live; see `kaireon_runtime.lifecycle`."""

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _accept_any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


class TracingSettings(ProcessSettings):
    """Where traces go, and how many: variables of OpenTelemetry, whose SDK reads them and others by itself."""

    otel_exporter_otlp_endpoint: str | None = Field(default=None, pattern="^https?://", repr=False)
    """The collector of traces, OTLP over HTTP, without `/v1/traces`. None: nothing is traced."""
    otel_exporter_otlp_headers: SecretStr | None = None
    """`name=value`, comma-separated: what the collector knows its callers by."""
    otel_service_name: str | None = None
    """What traces call this process, instead of `kaireon-` and the tier."""
    otel_resource_attributes: str | None = None
    otel_traces_sampler: Sampler = "parentbased_always_on"
    otel_traces_sampler_arg: float | None = Field(default=None, ge=0, le=1)
    """The share of traces that a `traceidratio` keeps."""


class DatabaseSettings(ProcessSettings):
    """DATABASE_URL, DATABASE_POOLER, and DATABASE_DIRECT_URL (past PgBouncer) where a process may LISTEN."""

    database_url: PostgresUrl = Field(repr=False)
    database_direct_url: PostgresUrl | None = Field(default=None, repr=False)
    database_pooler: Pooler = Pooler.AUTO


class ReplicaSettings(DatabaseSettings):
    """DATABASE_REPLICA_URLS: where dashboards and searches are read, and how far behind a replica may be."""

    database_replica_urls: str = Field(default="", repr=False)
    """`postgresql://...`, comma-separated; a host list of one URL writes its commas as `%2C`."""
    database_replica_max_lag_seconds: float = Field(default=5.0, ge=0.5, le=3600, allow_inf_nan=False)
    """A replica further behind is not read; the primary is."""

    @field_validator("database_replica_urls")
    @classmethod
    def _require_replicas(cls, value: str) -> str:
        for place, url in enumerate(listed(value), 1):
            try:
                require_postgres(url)
            except ValueError as error:
                message = f"must list URLs, comma-separated; number {place} {error}"
                raise ValueError(message) from None
        return value

    @property
    def replica_urls(self) -> tuple[str, ...]:
        """The replicas' URLs."""
        return listed(self.database_replica_urls)


class SearchBackend(StrEnum):
    """Where the catalogue is searched."""

    PG = "pg"
    OPENSEARCH = "opensearch"


class SearchSettings(ProcessSettings):
    """SEARCH_INDEX, and where OpenSearch is."""

    search_index: SearchBackend = SearchBackend.PG
    opensearch_url: str | None = Field(default=None, pattern="^https?://", repr=False)
    opensearch_username: str | None = None
    opensearch_password: SecretStr | None = None
    opensearch_index: str = Field(default="kaireon-catalogue", pattern="^[a-z0-9][a-z0-9._-]{0,200}$")

    @model_validator(mode="after")
    def _require_url(self) -> Self:
        if self.search_index is SearchBackend.OPENSEARCH and self.opensearch_url is None:
            message = "SEARCH_INDEX=opensearch needs OPENSEARCH_URL"
            raise ValueError(message)
        return self


class RedisSettings(ProcessSettings):
    """REDIS_URL, and CELERY_BROKER_URL where the broker is another server."""

    redis_url: RedisUrl = Field(default="redis://127.0.0.1:6379/0", repr=False)
    celery_broker_url: BrokerUrl | None = Field(default=None, repr=False)

    @property
    def broker_url(self) -> str:
        """The Celery broker: CELERY_BROKER_URL, else REDIS_URL."""
        return self.celery_broker_url or self.redis_url


class MlWorkerSettings(ProcessSettings):
    """ML_WORKER_URL, without which models that the ML worker trains are not trained."""

    ml_worker_url: str | None = None

    @field_validator("ml_worker_url")
    @classmethod
    def _require_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            message = "must start with http:// or https://"
            raise ValueError(message)
        return value


class ScheduledJobSettings(MlWorkerSettings):
    """What the scheduled jobs read: ML_WORKER_URL, EVENT_PUBLISHER and OUTBOX_REAPER_AFTER_MINUTES."""

    event_publisher: str = ""
    """`none` where no publisher runs: events that nobody relays are removed after a day. Other values are its own."""

    outbox_reaper_after_minutes: float = Field(default=10.0, gt=0, le=60 * 24 * 365, allow_inf_nan=False)
    """How long an event may stand in status `processing`."""

    @property
    def has_publisher(self) -> bool:
        """Whether somebody relays events."""
        return not is_no_publisher(self.event_publisher)


def is_no_publisher(event_publisher: str) -> bool:
    """Return whether EVENT_PUBLISHER says that nobody relays events."""
    return event_publisher.strip().lower() == "none"


class LanguageModelSettings(ProcessSettings):
    """AI_BASE_URL and AI_MODEL of an OpenAI-compatible endpoint, AI_API_KEY where it wants one; off without."""

    ai_base_url: str | None = None
    ai_model: str | None = None
    ai_api_key: SecretStr | None = None

    @field_validator("ai_base_url")
    @classmethod
    def _require_endpoint(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            message = "must start with http:// or https://"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _require_both(self) -> Self:
        if (self.ai_base_url is None) != (self.ai_model is None):
            message = "AI_BASE_URL and AI_MODEL go together"
            raise ValueError(message)
        return self


class OutboundSettings(ProcessSettings):
    """Where models that are services may be, beside the public internet, and where their tokens are kept."""

    external_endpoint_allowlist: str = ""
    """`host` or `host:port`, comma-separated, IPv6 in brackets; a port restricts to it."""
    secrets_dir: Path | None = None
    """The directory below which `secret://file/NAME` is looked for."""
    webhook_signing_secret: SecretStr | None = None
    """Signs webhooks that name no secret of their own."""

    @field_validator("external_endpoint_allowlist")
    @classmethod
    def _require_hosts(cls, value: str) -> str:
        AllowList.parse(value)
        return value

    @field_validator("secrets_dir")
    @classmethod
    def _require_directory(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            message = "must name a directory that exists"
            raise ValueError(message)
        return value

    @property
    def allow_list(self) -> AllowList:
        """The hosts that may be called though they are not public."""
        return AllowList.parse(self.external_endpoint_allowlist)


class ApiKeySettings(ProcessSettings):
    """API_KEY_PEPPER: the secret under which API keys are hashed, at least 32 characters."""

    api_key_pepper: SecretStr = Field(min_length=32)


def secret_variables() -> Mapping[str, str]:
    """Return the variables that may be named by a reference to a secret, without their prefix."""
    return {
        name.removeprefix(SECRET_PREFIX): value for name, value in os.environ.items() if name.startswith(SECRET_PREFIX)
    }


def load(settings: type[SettingsT], **given: Any) -> SettingsT:
    """Read the settings from the environment, but for those that are given.

    On any mistake print one line for each and exit with code 2.
    """
    try:
        return settings(**given)
    except ValidationError as error:
        refuse(describe(problem) for problem in error.errors())


def describe(problem: ErrorDetails) -> str:
    """Return one line that names the variable and says what to change, without its value: it may be a secret."""
    name = ".".join(str(part) for part in problem["loc"]).upper()
    if problem["type"] == "missing":
        return f"{name} is not set"
    return f"{name} {problem['msg'].removeprefix('Value error, ').removeprefix('Input ')}".lstrip()


def refuse(lines: Iterable[str]) -> NoReturn:
    """Print every line on stderr and end the process with the code for bad settings."""
    for line in lines:
        sys.stderr.write(f"{line}\n")
    raise SystemExit(EXIT_BAD_SETTINGS)
