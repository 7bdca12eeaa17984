"""The settings of interaction stores: which one is read, which are written, and how each is reached."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import msgspec
from pydantic import Field, SecretStr, field_validator, model_validator

from kaireon_runtime.listed import listed
from kaireon_runtime.settings import Port, ProcessSettings

# The longest that CQL and DynamoDB can hold on to a row.
_MOST_DAYS = 7_000
_NAME = r"^[a-zA-Z][a-zA-Z0-9_]{0,47}$"

CqlName = Annotated[str, Field(pattern=_NAME)]


class StoreBackend(StrEnum):
    """The interaction stores."""

    PG = "pg"
    DYNAMODB = "dynamodb"
    SCYLLA = "scylla"
    CASSANDRA = "cassandra"
    KEYSPACES = "keyspaces"


class DynamoDbStore(msgspec.Struct, frozen=True, kw_only=True):
    """How DynamoDB is reached; without a region AWS's usual chain knows one."""

    table: str = "kaireon_interactions"
    region: str | None = None
    endpoint_url: str | None = None
    max_connections: int = 16


class CqlStore(msgspec.Struct, frozen=True, kw_only=True):
    """How a server that speaks CQL is reached; `signing_region` asks for AWS's SigV4 instead of a password."""

    backend: StoreBackend
    contact_points: tuple[str, ...]
    port: int
    keyspace: str
    local_datacenter: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    is_encrypted: bool = False
    signing_region: str | None = None


class InteractionStoreSettings(ProcessSettings):
    """INTERACTION_STORE and what its backends need; the same for every tier that writes or reads interactions."""

    interaction_store: StoreBackend = StoreBackend.PG
    """Where a customer's interactions are read from; written to as well."""
    interaction_store_dual_write: StoreBackend | None = None
    """A second store that is written to, while it is being filled or kept for a way back."""
    interaction_store_timeout_ms: int = Field(default=1_000, ge=50, le=10_000)
    """For how long an answer to /respond waits for the store; what takes longer is written later."""
    interaction_store_retention_days: int = Field(default=365, ge=0, le=_MOST_DAYS)
    """For how long a store keeps an interaction; 0: until it is deleted. Postgres goes by the tenant's retention."""

    dynamodb_table: str = Field(default="kaireon_interactions", pattern=r"^[a-zA-Z0-9_.-]{3,255}$")
    dynamodb_region: str | None = None
    dynamodb_endpoint_url: str | None = None
    dynamodb_max_connections: int = Field(default=16, ge=1, le=256)

    cassandra_contact_points: str = "127.0.0.1"
    cassandra_port: Port = 9042
    cassandra_keyspace: CqlName = "kaireon"
    cassandra_local_datacenter: str | None = None
    cassandra_username: str | None = None
    cassandra_password: SecretStr | None = None
    cassandra_ca_file: Path | None = None

    scylla_contact_points: str = "127.0.0.1"
    scylla_port: Port = 9042
    scylla_keyspace: CqlName = "kaireon"
    scylla_local_datacenter: str | None = None
    scylla_username: str | None = None
    scylla_password: SecretStr | None = None
    scylla_ca_file: Path | None = None

    keyspaces_region: str | None = None
    keyspaces_endpoint: str | None = None
    """Default: `cassandra.<region>.amazonaws.com`."""
    keyspaces_port: Port = 9142
    keyspaces_keyspace: CqlName = "kaireon"
    keyspaces_username: str | None = None
    """Service-specific credentials; without them requests are signed with AWS's usual chain."""
    keyspaces_password: SecretStr | None = None
    keyspaces_ca_file: Path | None = None

    @field_validator("interaction_store", "interaction_store_dual_write", mode="before")
    @classmethod
    def _name_known_stores(cls, value: object) -> object:
        supported = [backend.value for backend in StoreBackend]
        name = value.strip().lower() if isinstance(value, str) else value
        if name is not None and name not in supported:
            message = f"must be one of: {', '.join(supported)}"
            raise ValueError(message)
        return name

    @field_validator("dynamodb_endpoint_url")
    @classmethod
    def _require_endpoint_of_dynamodb(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            message = "must start with http:// or https://"
            raise ValueError(message)
        return value

    @field_validator("cassandra_contact_points", "scylla_contact_points")
    @classmethod
    def _require_contact_points(cls, value: str) -> str:
        if not listed(value):
            message = "must name at least one host; several are separated by commas"
            raise ValueError(message)
        return value

    @field_validator("cassandra_ca_file", "scylla_ca_file", "keyspaces_ca_file")
    @classmethod
    def _require_ca_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            message = "must name a file that exists"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _require_whole_stores(self) -> Self:
        if self.interaction_store == self.interaction_store_dual_write:
            message = "INTERACTION_STORE_DUAL_WRITE must be another store than INTERACTION_STORE"
            raise ValueError(message)
        if StoreBackend.KEYSPACES in self.external_stores and self.keyspaces_region is None:
            message = "KEYSPACES_REGION is not set"
            raise ValueError(message)
        for backend in ("cassandra", "scylla", "keyspaces"):
            if (getattr(self, f"{backend}_username") is None) != (getattr(self, f"{backend}_password") is None):
                message = f"{backend.upper()}_USERNAME and {backend.upper()}_PASSWORD go together"
                raise ValueError(message)
        return self

    @property
    def external_stores(self) -> tuple[StoreBackend, ...]:
        """The stores beside Postgres that are written to; the one that is read first."""
        chosen = (self.interaction_store, self.interaction_store_dual_write)
        return tuple(backend for backend in chosen if backend not in {None, StoreBackend.PG} and backend is not None)

    @property
    def dynamodb(self) -> DynamoDbStore:
        """How DynamoDB is reached."""
        return DynamoDbStore(
            table=self.dynamodb_table,
            region=self.dynamodb_region,
            endpoint_url=self.dynamodb_endpoint_url,
            max_connections=self.dynamodb_max_connections,
        )

    def cql(self, backend: StoreBackend) -> CqlStore:
        """Return how one of the servers that speak CQL is reached."""
        return self._keyspaces() if backend is StoreBackend.KEYSPACES else self._own_servers(backend)

    def _own_servers(self, backend: StoreBackend) -> CqlStore:
        ca_file: Path | None = getattr(self, f"{backend}_ca_file")
        return CqlStore(
            backend=backend,
            contact_points=listed(getattr(self, f"{backend}_contact_points")),
            port=getattr(self, f"{backend}_port"),
            keyspace=getattr(self, f"{backend}_keyspace"),
            local_datacenter=getattr(self, f"{backend}_local_datacenter"),
            username=getattr(self, f"{backend}_username"),
            password=getattr(self, f"{backend}_password"),
            ca_file=ca_file,
            is_encrypted=ca_file is not None,
        )

    def _keyspaces(self) -> CqlStore:
        region = self.keyspaces_region
        return CqlStore(
            backend=StoreBackend.KEYSPACES,
            contact_points=(self.keyspaces_endpoint or f"cassandra.{region}.amazonaws.com",),
            port=self.keyspaces_port,
            keyspace=self.keyspaces_keyspace,
            local_datacenter=region,
            username=self.keyspaces_username,
            password=self.keyspaces_password,
            ca_file=self.keyspaces_ca_file,
            is_encrypted=True,
            signing_region=region if self.keyspaces_username is None else None,
        )
