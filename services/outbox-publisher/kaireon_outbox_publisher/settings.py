"""The settings of the outbox publisher."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator

from kaireon_runtime.settings import DatabaseSettings, RedisSettings


class Publisher(StrEnum):
    """The event buses that this release can relay to."""

    REDIS = "redis"


class Settings(DatabaseSettings, RedisSettings):
    """Everything the publisher reads from its environment; each field is the variable of the same name in capitals."""

    event_publisher: Publisher = Publisher.REDIS
    event_stream: str = "kaireon:events"
    event_stream_retention_hours: float = Field(default=24.0, gt=0, le=24 * 3650, allow_inf_nan=False)
    event_max_bytes: int = Field(default=1024 * 1024, ge=1, le=256 * 1024 * 1024)
    event_max_tries: int = Field(default=5, ge=1, le=1000)
    outbox_poll_interval_ms: int = Field(default=1000, ge=10, le=600_000)
    outbox_batch_size: int = Field(default=500, ge=1, le=10_000)
    outbox_health_host: str = "127.0.0.1"
    outbox_health_port: int = Field(default=0, ge=0, le=65535)
    """Port of `GET /health`, `/ready` and `/metrics`; 0 turns them off."""

    @field_validator("event_publisher", mode="before")
    @classmethod
    def _name_what_is_supported(cls, value: object) -> object:
        supported = [publisher.value for publisher in Publisher]
        name = value.strip().lower() if isinstance(value, str) else value
        if name not in supported:
            message = f"is not supported by this release; supported now: {', '.join(supported)}"
            raise ValueError(message)
        return name
