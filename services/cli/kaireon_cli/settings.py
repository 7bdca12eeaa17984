"""What the command and the supervisor read from their environment."""

from __future__ import annotations

from pydantic import Field, SecretStr

from kaireon_runtime.addresses import BrokerUrl, PostgresUrl, RedisUrl
from kaireon_runtime.brokers import BusSettings
from kaireon_runtime.settings import Port, ProcessSettings, RedisSettings

# What the tiers have where nobody says otherwise.
DEFAULT_EVENT_STREAM: str = BusSettings.model_fields["event_stream"].default
_DEFAULT_REDIS_URL: str = RedisSettings.model_fields["redis_url"].default


class CommandSettings(ProcessSettings):
    """Where the product is; without DATABASE_URL that is the stack started by `make run` in this clone.

    Commands that ask the API need KAIREON_API_URL and KAIREON_API_KEY elsewhere.
    """

    database_url: PostgresUrl | None = Field(default=None, repr=False)
    database_direct_url: PostgresUrl | None = Field(default=None, repr=False)
    redis_url: RedisUrl | None = Field(default=None, repr=False)
    celery_broker_url: BrokerUrl | None = Field(default=None, repr=False)
    kaireon_api_url: str | None = Field(default=None, pattern="^https?://")
    kaireon_api_key: SecretStr | None = None
    api_key_pepper: SecretStr | None = Field(default=None, min_length=32)

    @property
    def cache_url(self) -> str:
        """Where Redis is."""
        return self.redis_url or _DEFAULT_REDIS_URL

    @property
    def broker_url(self) -> str:
        """Where Celery's broker is."""
        return self.celery_broker_url or self.cache_url


class RunSettings(CommandSettings):
    """What `make run` can be told; everything else in its environment is for the tiers."""

    api_host: str = "127.0.0.1"
    api_port: Port = 3000
    ml_worker_port: Port = 8000
    ml_worker_url: str | None = None
    cron_secret: SecretStr | None = None
    webhook_signing_secret: SecretStr | None = None
    event_stream: str = DEFAULT_EVENT_STREAM
