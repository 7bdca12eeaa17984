"""The settings of the stream tier."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from kaireon_runtime.brokers import AwsSettings, KafkaSettings, MskAuthentication, MskSettings, PulsarSettings
from kaireon_runtime.settings import DatabaseSettings, RedisSettings


class SourceName(StrEnum):
    """The brokers."""

    REDIS = "redis"
    KAFKA = "kafka"
    REDPANDA = "redpanda"
    MSK = "msk"
    KINESIS = "kinesis"
    PULSAR = "pulsar"


class Settings(DatabaseSettings, RedisSettings, KafkaSettings, MskSettings, AwsSettings, PulsarSettings):
    """Everything the stream tier reads from its environment; each field is the variable of its name in capitals."""

    flow_streaming_enabled: bool = False
    stream_source: SourceName | None = None
    stream_topic: str = "kaireon.inbound"
    """The Kafka topic, Kinesis stream, Pulsar topic or, comma-separated, Redis keys."""
    stream_health_host: str = "127.0.0.1"
    stream_health_port: int = Field(default=0, ge=0, le=65535)
    """Port of `GET /health`, `/ready` and `/metrics`; 0 turns them off."""

    @field_validator("stream_source", mode="before")
    @classmethod
    def _name_what_is_supported(cls, value: object) -> object:
        supported = [source.value for source in SourceName]
        name = value.strip().lower().removeprefix("aws_") if isinstance(value, str) else value
        if name in {"", None}:
            return None
        if name not in supported:
            message = f"is not supported; supported are {', '.join(supported)}"
            raise ValueError(message)
        return name

    @model_validator(mode="after")
    def _require_what_the_source_needs(self) -> Self:
        if not self.flow_streaming_enabled:
            return self
        if self.stream_source is None:
            message = "STREAM_SOURCE is not set: FLOW_STREAMING_ENABLED=true needs a broker to read from"
            raise ValueError(message)
        missing = [" or ".join(map(str.upper, names)) for names in self._needed() if not any(map(self._is_set, names))]
        if missing:
            message = f"not set: {', '.join(missing)}, which STREAM_SOURCE={self.stream_source} needs"
            raise ValueError(message)
        return self

    def _is_set(self, name: str) -> bool:
        return getattr(self, name) is not None

    def _needed(self) -> list[tuple[str, ...]]:
        """Return the settings that the source needs, alternatives together."""
        needed: list[tuple[str, ...]] = list(_NEEDED.get(self.stream_source or SourceName.REDIS, ()))
        if self.stream_source is SourceName.MSK and self.msk_authentication is MskAuthentication.SCRAM:
            needed += [("msk_username",), ("msk_password",)]
        elif self.stream_source is SourceName.MSK:
            needed.append(("msk_region", "aws_region"))
        return needed


_NEEDED: dict[SourceName, tuple[tuple[str, ...], ...]] = {
    SourceName.KAFKA: (("kafka_brokers",),),
    SourceName.REDPANDA: (("kafka_brokers",),),
    SourceName.MSK: (("msk_brokers",),),
    SourceName.KINESIS: (("kinesis_region", "aws_region"),),
    SourceName.PULSAR: (("pulsar_url",),),
}
