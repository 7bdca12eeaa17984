"""Open the source that the settings choose; the libraries of the others are never imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from kaireon_runtime.brokers import kafka_connection, msk_connection, text_of
from kaireon_runtime.settings import refuse
from kaireon_stream.settings import Settings, SourceName
from kaireon_stream.source import Source
from kaireon_stream.sources.redis_stream import RedisStreamSource

# What each source needs beyond the member's own dependencies: the extra of the same name installs it.
_MODULES: Mapping[SourceName, tuple[str, ...]] = {
    SourceName.KAFKA: ("confluent_kafka",),
    SourceName.REDPANDA: ("confluent_kafka",),
    SourceName.MSK: ("confluent_kafka", "aws_msk_iam_sasl_signer"),
    SourceName.KINESIS: ("boto3",),
    SourceName.PULSAR: ("pulsar",),
}


def open_source(settings: Settings, chosen: SourceName) -> Source:
    """Return the chosen source, not yet connected; exit code 2 for a missing extra or what its client refuses."""
    missing = [module for module in _MODULES.get(chosen, ()) if find_spec(module) is None]
    if missing:
        extra = f"kaireon-stream[{chosen}]"
        refuse([f"STREAM_SOURCE={chosen} needs {', '.join(missing)}: pip install '{extra}' installs it"])
    return _OPENERS[chosen](settings)


def _redis(settings: Settings) -> Source:
    return RedisStreamSource(settings.redis_url, [key.strip() for key in settings.stream_topic.split(",")])


def _kafka(settings: Settings) -> Source:
    return _open_kafka(settings, kafka_connection(settings))


def _msk(settings: Settings) -> Source:
    from kaireon_stream.sources.kafka import msk_token  # noqa: PLC0415 - an extra

    return _open_kafka(settings, msk_connection(settings, settings.aws_region, msk_token))


def _open_kafka(settings: Settings, connection: Mapping[str, Any]) -> Source:
    from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

    from kaireon_stream.sources.kafka import KafkaSource  # noqa: PLC0415 - an extra

    try:
        return KafkaSource({"client.id": "kaireon-stream", **connection}, settings.stream_topic)
    except KafkaException as error:
        refuse([f"STREAM_SOURCE={settings.stream_source}: {error.args[0].str()}"])


def _kinesis(settings: Settings) -> Source:
    from kaireon_stream.sources.kinesis import KinesisSource  # noqa: PLC0415 - an extra

    region = settings.kinesis_region or settings.aws_region or ""
    return KinesisSource(settings.stream_topic, region, settings.kinesis_endpoint_url)


def _pulsar(settings: Settings) -> Source:
    from kaireon_stream.sources.pulsar import PulsarSource  # noqa: PLC0415 - an extra

    token, ca_file = text_of(settings.pulsar_token), text_of(settings.pulsar_tls_ca_file)
    return PulsarSource(settings.pulsar_url or "", settings.stream_topic, token=token, ca_file=ca_file)


_OPENERS: Mapping[SourceName, Callable[[Settings], Source]] = {
    SourceName.REDIS: _redis,
    SourceName.KAFKA: _kafka,
    SourceName.REDPANDA: _kafka,
    SourceName.MSK: _msk,
    SourceName.KINESIS: _kinesis,
    SourceName.PULSAR: _pulsar,
}
