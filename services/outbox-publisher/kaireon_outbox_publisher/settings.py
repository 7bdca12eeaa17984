"""The settings of the outbox publisher."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kaireon_runtime.brokers import (
    AwsSettings,
    BusSettings,
    KafkaSettings,
    MskAuthentication,
    MskSettings,
    Publisher,
    PulsarSettings,
)
from kaireon_runtime.settings import DatabaseSettings, RedisSettings, TracingSettings
from kaireon_runtime.store_settings import InteractionStoreSettings


class Settings(
    DatabaseSettings,
    RedisSettings,
    BusSettings,
    KafkaSettings,
    MskSettings,
    AwsSettings,
    PulsarSettings,
    InteractionStoreSettings,
    TracingSettings,
):
    """Everything the publisher reads from its environment; each field is the variable of the same name in capitals."""

    event_stream_retention_hours: float = Field(default=24.0, gt=0, le=24 * 3650, allow_inf_nan=False)
    event_max_bytes: int = Field(default=1024 * 1024, ge=1, le=256 * 1024 * 1024)
    event_max_tries: int = Field(default=5, ge=1, le=1000)
    outbox_poll_interval_ms: int = Field(default=1000, ge=10, le=600_000)
    outbox_batch_size: int = Field(default=1000, ge=1, le=10_000)
    outbox_health_host: str = "127.0.0.1"
    outbox_health_port: int = Field(default=0, ge=0, le=65535)
    """Port of `GET /health`, `/ready` and `/metrics`; 0 turns them off."""

    @model_validator(mode="after")
    def _require_what_the_bus_needs(self) -> Self:
        missing = [" or ".join(map(str.upper, names)) for names in self._needed() if not any(map(self._is_set, names))]
        if missing:
            is_one = len(missing) == 1
            verb, pronoun = ("is", "it") if is_one else ("are", "them")
            message = f"{', '.join(missing)} {verb} not set: EVENT_PUBLISHER={self.event_publisher} needs {pronoun}"
            raise ValueError(message)
        return self

    def _is_set(self, name: str) -> bool:
        return getattr(self, name) is not None

    def _needed(self) -> list[tuple[str, ...]]:
        """Return the settings that the bus needs, alternatives together."""
        needed: list[tuple[str, ...]] = list(_NEEDED.get(self.event_publisher, ()))
        if self.event_publisher in {Publisher.KAFKA, Publisher.REDPANDA}:
            if self.kafka_security_protocol.startswith("sasl_"):
                needed += [("kafka_sasl_username",), ("kafka_sasl_password",)]
            if self.kafka_ssl_certificate_file or self.kafka_ssl_key_file:
                needed += [("kafka_ssl_certificate_file",), ("kafka_ssl_key_file",)]
        if self.event_publisher is Publisher.MSK and self.msk_authentication is MskAuthentication.SCRAM:
            needed += [("msk_username",), ("msk_password",)]
        elif self.event_publisher is Publisher.MSK:
            needed.append(("msk_region", "aws_region"))
        return needed


_NEEDED: dict[Publisher, tuple[tuple[str, ...], ...]] = {
    Publisher.KAFKA: (("kafka_brokers",),),
    Publisher.REDPANDA: (("kafka_brokers",),),
    Publisher.MSK: (("msk_brokers",),),
    Publisher.KINESIS: (("kinesis_stream",), ("kinesis_region", "aws_region")),
    Publisher.EVENTBRIDGE: (("eventbridge_bus",), ("eventbridge_region", "aws_region")),
    Publisher.PULSAR: (("pulsar_url",),),
}
