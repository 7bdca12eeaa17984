"""Open the event bus that the settings choose; the libraries of the others are never imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any

from kaireon_application.platform.outbox import EventSink
from kaireon_outbox_publisher.settings import Settings
from kaireon_outbox_publisher.sinks.redis_stream import RedisStreamSink, connect
from kaireon_runtime.brokers import Publisher, kafka_connection, msk_connection, text_of
from kaireon_runtime.settings import refuse

# What each bus needs beyond the member's own dependencies: the extra of the same name installs it.
_MODULES: Mapping[Publisher, tuple[str, ...]] = {
    Publisher.KAFKA: ("confluent_kafka",),
    Publisher.REDPANDA: ("confluent_kafka",),
    Publisher.MSK: ("confluent_kafka", "aws_msk_iam_sasl_signer"),
    Publisher.KINESIS: ("boto3",),
    Publisher.EVENTBRIDGE: ("boto3",),
    Publisher.PULSAR: ("pulsar",),
}


def open_sink(settings: Settings) -> EventSink:
    """Return the chosen sink, not yet connected; exit code 2 for a missing extra or what its client refuses."""
    chosen = settings.event_publisher
    missing = [module for module in _MODULES.get(chosen, ()) if find_spec(module) is None]
    if missing:
        extra = f"kaireon-outbox-publisher[{chosen}]"
        refuse([f"EVENT_PUBLISHER={chosen} needs {', '.join(missing)}: pip install '{extra}' installs it"])
    return _OPENERS[chosen](settings)


def _redis(settings: Settings) -> EventSink:
    retention = timedelta(hours=settings.event_stream_retention_hours)
    return RedisStreamSink(partial(connect, settings.redis_url), settings.event_stream, retention)


def _kafka(settings: Settings) -> EventSink:
    return _open_kafka(settings, kafka_connection(settings))


def _msk(settings: Settings) -> EventSink:
    from kaireon_outbox_publisher.sinks.kafka import msk_token  # noqa: PLC0415 - an extra

    return _open_kafka(settings, msk_connection(settings, settings.aws_region, msk_token))


def _open_kafka(settings: Settings, connection: Mapping[str, Any]) -> EventSink:
    from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

    from kaireon_outbox_publisher.sinks.kafka import KafkaSink  # noqa: PLC0415 - an extra

    configuration = {
        "client.id": "kaireon-outbox-publisher",
        "compression.type": settings.kafka_compression.value,
        "message.max.bytes": settings.kafka_max_message_bytes,
        **connection,
    }
    try:
        return KafkaSink(configuration, settings.kafka_topic)
    except KafkaException as error:
        refuse([f"EVENT_PUBLISHER={settings.event_publisher}: {error.args[0].str()}"])


def _kinesis(settings: Settings) -> EventSink:
    from kaireon_outbox_publisher.sinks.kinesis import kinesis_sink  # noqa: PLC0415 - an extra

    region = settings.kinesis_region or settings.aws_region or ""
    return kinesis_sink(settings.kinesis_stream or "", region, settings.kinesis_endpoint_url)


def _eventbridge(settings: Settings) -> EventSink:
    from kaireon_outbox_publisher.sinks.eventbridge import eventbridge_sink  # noqa: PLC0415 - an extra

    region = settings.eventbridge_region or settings.aws_region or ""
    bus, source = settings.eventbridge_bus or "", settings.eventbridge_source
    return eventbridge_sink(bus, source, region, settings.eventbridge_endpoint_url)


def _pulsar(settings: Settings) -> EventSink:
    from kaireon_outbox_publisher.sinks.pulsar import PulsarSink  # noqa: PLC0415 - an extra

    token, ca_file = text_of(settings.pulsar_token), text_of(settings.pulsar_tls_ca_file)
    return PulsarSink(settings.pulsar_url or "", settings.pulsar_topic, token=token, ca_file=ca_file)


_OPENERS: Mapping[Publisher, Callable[[Settings], EventSink]] = {
    Publisher.REDIS: _redis,
    Publisher.KAFKA: _kafka,
    Publisher.REDPANDA: _kafka,
    Publisher.MSK: _msk,
    Publisher.KINESIS: _kinesis,
    Publisher.EVENTBRIDGE: _eventbridge,
    Publisher.PULSAR: _pulsar,
}
