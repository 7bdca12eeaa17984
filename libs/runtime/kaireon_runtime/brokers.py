"""How the brokers of events are reached: the same settings for who sends to them and who reads from them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field, FilePath, SecretStr, field_validator

from kaireon_runtime.settings import ProcessSettings


class Publisher(StrEnum):
    """The event buses."""

    REDIS = "redis"
    KAFKA = "kafka"
    REDPANDA = "redpanda"
    MSK = "msk"
    KINESIS = "kinesis"
    EVENTBRIDGE = "eventbridge"
    PULSAR = "pulsar"


class BusSettings(ProcessSettings):
    """EVENT_PUBLISHER: which bus events go to, and the stream's name where that is Redis."""

    event_publisher: Publisher = Publisher.REDIS
    event_stream: str = "kaireon:events"

    @field_validator("event_publisher", mode="before")
    @classmethod
    def supported(cls, value: object) -> object:
        """Return the name of a bus as it is written here. Raises `ValueError` for any other."""
        supported = [publisher.value for publisher in Publisher]
        name = value.strip().lower().removeprefix("aws_") if isinstance(value, str) else value
        if name not in supported:
            message = f"is not supported; supported are {', '.join(supported)}"
            raise ValueError(message)
        return name


class SecurityProtocol(StrEnum):
    """How a Kafka broker is spoken to."""

    PLAINTEXT = "plaintext"
    SSL = "ssl"
    SASL_PLAINTEXT = "sasl_plaintext"
    SASL_SSL = "sasl_ssl"


class SaslMechanism(StrEnum):
    """How a password is proven to a Kafka broker."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class Compression(StrEnum):
    """How Kafka's batches are compressed."""

    NONE = "none"
    GZIP = "gzip"
    LZ4 = "lz4"
    SNAPPY = "snappy"
    ZSTD = "zstd"


class KafkaSettings(ProcessSettings):
    """Kafka and Redpanda; topic, compression and size are MSK's too."""

    kafka_brokers: str | None = None
    """`host:port`, comma-separated."""
    kafka_topic: str = "kaireon.events"
    kafka_compression: Compression = Compression.ZSTD
    kafka_max_message_bytes: int = Field(default=1_048_588, ge=1000, le=256 * 1024 * 1024)
    kafka_security_protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    kafka_sasl_mechanism: SaslMechanism = SaslMechanism.SCRAM_SHA_512
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_file: FilePath | None = None
    kafka_ssl_certificate_file: FilePath | None = None
    kafka_ssl_key_file: FilePath | None = None

    @field_validator("kafka_security_protocol", mode="before")
    @classmethod
    def _accept_capitals(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value


class MskAuthentication(StrEnum):
    """How MSK knows who we are: the AWS credentials of this process, or a user of its own."""

    IAM = "iam"
    SCRAM = "scram"


class MskSettings(ProcessSettings):
    """Amazon MSK; always over TLS."""

    msk_brokers: str | None = None
    """`host:port`, comma-separated: 9098 for IAM, 9096 for SCRAM."""
    msk_authentication: MskAuthentication = MskAuthentication.IAM
    msk_region: str | None = None
    msk_username: str | None = None
    msk_password: SecretStr | None = None


class AwsSettings(ProcessSettings):
    """Kinesis and EventBridge; credentials come by AWS's usual chain. AWS_REGION stands in for a region not named."""

    aws_region: str | None = None
    kinesis_stream: str | None = None
    kinesis_region: str | None = None
    kinesis_endpoint_url: str | None = None
    eventbridge_bus: str | None = None
    eventbridge_source: str = "kaireon"
    eventbridge_region: str | None = None
    eventbridge_endpoint_url: str | None = None


class PulsarSettings(ProcessSettings):
    """Apache Pulsar."""

    pulsar_url: str | None = None
    pulsar_topic: str = "persistent://public/default/kaireon-events"
    pulsar_token: SecretStr | None = None
    pulsar_tls_ca_file: Path | None = None

    @field_validator("pulsar_url")
    @classmethod
    def _require_pulsar(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("pulsar://", "pulsar+ssl://")):
            message = "must start with pulsar:// or pulsar+ssl://"
            raise ValueError(message)
        return value


def kafka_connection(settings: KafkaSettings) -> dict[str, Any]:
    """Return librdkafka's configuration of a connection to Kafka or Redpanda."""
    given = {
        "bootstrap.servers": settings.kafka_brokers,
        "security.protocol": settings.kafka_security_protocol.value,
        "sasl.mechanism": settings.kafka_sasl_mechanism.value if settings.kafka_sasl_username else None,
        "sasl.username": settings.kafka_sasl_username,
        "sasl.password": text_of(settings.kafka_sasl_password),
        "ssl.ca.location": text_of(settings.kafka_ssl_ca_file),
        "ssl.certificate.location": text_of(settings.kafka_ssl_certificate_file),
        "ssl.key.location": text_of(settings.kafka_ssl_key_file),
    }
    return {name: value for name, value in given.items() if value is not None}


def msk_connection(
    settings: MskSettings, region: str | None, token: Callable[[str], Callable[[str], tuple[str, float]]]
) -> dict[str, Any]:
    """Return librdkafka's configuration of a connection to MSK; `token` makes the callback that signs, for a region."""
    by_password = {
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": settings.msk_username,
        "sasl.password": text_of(settings.msk_password),
    }
    is_by_iam = settings.msk_authentication is MskAuthentication.IAM
    how = (
        {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": token(settings.msk_region or region or "")}
        if is_by_iam
        else by_password
    )
    return {"bootstrap.servers": settings.msk_brokers, "security.protocol": "sasl_ssl", **how}


def text_of(value: object) -> str | None:
    """Return a secret or a path as text, None for None."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return None if value is None else str(value)
