"""The event bus: whether its topic or stream is there. Nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from kaireon_cli.doctor.check import CannotRun, Check, Finding, fail, ok
from kaireon_cli.doctor.redis import RedisChecks
from kaireon_cli.doctor.settings import DoctorSettings
from kaireon_runtime.brokers import MskAuthentication, Publisher, kafka_connection, msk_connection, text_of

_TIMEOUT_SECONDS = 4
_NEXT = "see that the bus runs, has it, and lets this machine in; events wait in the outbox meanwhile"


def bus_check(settings: DoctorSettings, redis: RedisChecks) -> Check:
    """Return the check of the bus that EVENT_PUBLISHER names."""
    bus = settings.event_publisher
    if bus is Publisher.REDIS:
        return redis.stream()

    async def look() -> Sequence[Finding]:
        if bus is None:
            return [ok("event-bus", "EVENT_PUBLISHER=none: events are not relayed")]
        return [await _LOOKS[bus](settings)]

    return Check(name="event-bus", look=look, next=_NEXT)


def _client(module: str, bus: Publisher) -> Any:
    """Return the library of a bus; none is a dependency of the command itself."""
    if find_spec(module.partition(".")[0]) is None:
        message = f"{module} is not installed here\npip install 'kaireon-outbox-publisher[{bus}]'"
        raise CannotRun(message)
    return import_module(module)


def _given(value: str | None, name: str, bus: Publisher) -> str:
    if value is None:
        message = f"{name} is not set\nset what the outbox publisher has for EVENT_PUBLISHER={bus}"
        raise CannotRun(message)
    return value


async def _kafka(settings: DoctorSettings) -> Finding:
    bus = settings.event_publisher or Publisher.KAFKA
    _given(settings.kafka_brokers, "KAFKA_BROKERS", bus)
    return await asyncio.to_thread(_topic, bus, kafka_connection(settings), settings.kafka_topic)


async def _msk(settings: DoctorSettings) -> Finding:
    _given(settings.msk_brokers, "MSK_BROKERS", Publisher.MSK)
    if settings.msk_authentication is MskAuthentication.IAM:
        raise CannotRun("MSK by IAM is asked with the publisher's own role\nask the outbox publisher's GET /ready")

    def unsigned(_region: str) -> Callable[[str], tuple[str, float]]:
        raise NotImplementedError

    connection = msk_connection(settings, settings.aws_region, unsigned)
    return await asyncio.to_thread(_topic, Publisher.MSK, connection, settings.kafka_topic)


def _topic(bus: Publisher, connection: Mapping[str, Any], topic: str) -> Finding:
    admin = _client("confluent_kafka.admin", bus).AdminClient({**connection, "log_level": 0})
    # All topics: asking for one makes it, where the brokers make topics by themselves.
    topics = admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
    if topic not in topics:
        return fail("event-bus", f"{bus}: there is no topic {topic}", "create it, or name another in KAFKA_TOPIC")
    return ok("event-bus", f"{bus}: {topic} has {len(topics[topic].partitions)} partitions")


async def _kinesis(settings: DoctorSettings) -> Finding:
    stream = _given(settings.kinesis_stream, "KINESIS_STREAM", Publisher.KINESIS)
    client = _aws("kinesis", settings.kinesis_region or settings.aws_region, settings.kinesis_endpoint_url)
    answer: Any = await asyncio.to_thread(client.describe_stream_summary, StreamName=stream)
    found = answer["StreamDescriptionSummary"]
    return ok("event-bus", f"kinesis: {stream} is {found['StreamStatus'].lower()}, {found['OpenShardCount']} shards")


async def _eventbridge(settings: DoctorSettings) -> Finding:
    bus = _given(settings.eventbridge_bus, "EVENTBRIDGE_BUS", Publisher.EVENTBRIDGE)
    client = _aws("events", settings.eventbridge_region or settings.aws_region, settings.eventbridge_endpoint_url)
    await asyncio.to_thread(client.describe_event_bus, Name=bus)
    return ok("event-bus", f"eventbridge: {bus} is there")


def _aws(service: str, region: str | None, endpoint_url: str | None) -> Any:
    publisher = Publisher.KINESIS if service == "kinesis" else Publisher.EVENTBRIDGE
    boto3, config = _client("boto3", publisher), _client("botocore.config", publisher)
    limits = config.Config(
        connect_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}
    )
    return boto3.client(service, region_name=region, endpoint_url=endpoint_url, config=limits)


async def _pulsar(settings: DoctorSettings) -> Finding:
    url = _given(settings.pulsar_url, "PULSAR_URL", Publisher.PULSAR)
    return await asyncio.to_thread(_pulsar_topic, url, settings)


def _pulsar_topic(url: str, settings: DoctorSettings) -> Finding:
    pulsar = _client("pulsar", Publisher.PULSAR)
    token, ca_file = text_of(settings.pulsar_token), text_of(settings.pulsar_tls_ca_file)
    client = pulsar.Client(
        url,
        authentication=None if token is None else pulsar.AuthenticationToken(token),
        tls_trust_certs_file_path=ca_file,
        operation_timeout_seconds=_TIMEOUT_SECONDS,
        connection_timeout_ms=_TIMEOUT_SECONDS * 1000,
        logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error),
    )
    try:
        count = len(client.get_topic_partitions(settings.pulsar_topic))
    finally:
        client.close()
    return ok("event-bus", f"pulsar: {settings.pulsar_topic} has {count} partitions")


_LOOKS: Mapping[Publisher, Callable[[DoctorSettings], Awaitable[Finding]]] = {
    Publisher.KAFKA: _kafka,
    Publisher.REDPANDA: _kafka,
    Publisher.MSK: _msk,
    Publisher.KINESIS: _kinesis,
    Publisher.EVENTBRIDGE: _eventbridge,
    Publisher.PULSAR: _pulsar,
}
