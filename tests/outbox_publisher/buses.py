"""Every event bus as a test sees it: how a publisher is pointed at it, what it holds, and how it is cut off."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol
from uuid import uuid4

import boto3 as untyped_boto3
import msgspec
import pulsar as untyped_pulsar
from confluent_kafka import Consumer, KafkaError, TopicPartition
from redis import Redis
from redis.exceptions import RedisError

from kaireon_application.platform.outbox import EventSink
from kaireon_outbox_publisher.sinks.eventbridge import eventbridge_sink
from kaireon_outbox_publisher.sinks.kafka import KafkaSink
from kaireon_outbox_publisher.sinks.kinesis import kinesis_sink
from kaireon_outbox_publisher.sinks.pulsar import PulsarSink
from kaireon_outbox_publisher.sinks.redis_stream import RedisStreamSink, connect
from kaireon_testkit.native.aws import Gate, MotoServer
from kaireon_testkit.native.kafka import Kafka
from kaireon_testkit.native.pulsar import PulsarLite
from kaireon_testkit.native.redis_servers import RedisServer

boto3: Any = untyped_boto3
pulsar: Any = untyped_pulsar

STREAM = "kaireon:events"
DAY = timedelta(hours=24)
REGION = "eu-central-1"
# Shorter than in production: a test waits for it whenever the bus is away.
KAFKA_TIMES = {"delivery.timeout.ms": 1500, "request.timeout.ms": 1000, "reconnect.backoff.max.ms": 200}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event as a consumer receives it."""

    id: str
    type: str
    tenant_id: str
    key: str
    timestamp: str
    payload: Any
    traceparent: str | None = None


class Bus(Protocol):
    """One event bus. `too_large` is a number of bytes that it takes in no event."""

    environment: dict[str, str]
    too_large: int

    def sink(self) -> EventSink:
        """Return a sink, as the publisher would open it."""
        ...

    def entries(self) -> list[Entry]:
        """Return what it holds, in order for each key."""
        ...

    def cut_off(self) -> None:
        """Make it unreachable; what it acknowledged stays."""
        ...

    def bring_back(self) -> None:
        """Make it reachable again."""
        ...


class RedisBus:
    """A stream of a private server."""

    too_large = 2_000_000

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.environment = {"EVENT_PUBLISHER": "redis", "REDIS_URL": server.url}
        self.bring_back()

    def sink(self) -> EventSink:
        return RedisStreamSink(lambda: connect(self._server.url), STREAM, DAY)

    def entries(self) -> list[Entry]:
        with Redis.from_url(self._server.url, decode_responses=True) as client:
            try:
                found: Any = client.xrange(STREAM)
            except RedisError:
                return []
        return [_entry(fields, fields["key"], fields["payload"]) for _, fields in found]

    def cut_off(self) -> None:
        self._server.kill()

    def bring_back(self) -> None:
        self._server.start("--proto-max-bulk-len", "1mb")


class KafkaBus:
    """A topic of its own."""

    too_large = 1_100_000

    def __init__(self, broker: Kafka) -> None:
        self._broker = broker
        self._topic = f"events-{uuid4()}"
        self.environment = {
            "EVENT_PUBLISHER": "kafka",
            "KAFKA_BROKERS": broker.bootstrap,
            "KAFKA_TOPIC": self._topic,
        }
        self.cut_off = broker.cut_off
        self.bring_back = broker.bring_back

    def sink(self) -> EventSink:
        return KafkaSink({"bootstrap.servers": self._broker.bootstrap, **KAFKA_TIMES}, self._topic)

    def entries(self) -> list[Entry]:
        with consumer_of(self._broker.bootstrap) as consumer:
            partitions = consumer.list_topics(self._topic, timeout=10).topics[self._topic].partitions
            consumer.assign([TopicPartition(self._topic, partition, 0) for partition in partitions])
            return list(_read(consumer, open_partitions=len(partitions)))


@contextmanager
def consumer_of(bootstrap: str) -> Generator[Consumer]:
    """Return a consumer that says where a partition ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": str(uuid4()),
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def _read(consumer: Consumer, *, open_partitions: int) -> Iterator[Entry]:
    while open_partitions:
        message = consumer.poll(10)
        assert message is not None, "the broker does not answer"
        if (error := message.error()) is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                # A partition that has no leader yet.
                assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART, error.str()
                return
            open_partitions -= 1
            continue
        headers: Any = message.headers()
        headers = {name: value.decode() for name, value in headers}
        yield _entry(headers, (message.key() or b"").decode(), message.value() or b"")


class AwsBus:
    """What Kinesis and EventBridge share: an emulator, and the gate before it."""

    def __init__(self, server: MotoServer, gate: Gate, name: str) -> None:
        self._endpoint = f"http://127.0.0.1:{server.port}"
        self.gate = gate
        self.name = f"{name}-{uuid4().hex[:8]}"
        self.cut_off = gate.shut
        self.bring_back = gate.open

    def client(self, service: str) -> Any:
        """Return a client of the emulator itself."""
        return boto3.client(service, region_name=REGION, endpoint_url=self._endpoint)


class KinesisBus(AwsBus):
    """A stream of two shards."""

    too_large = 1024 * 1024

    def __init__(self, server: MotoServer, gate: Gate) -> None:
        super().__init__(server, gate, "stream")
        self.client("kinesis").create_stream(StreamName=self.name, ShardCount=2)
        self.environment = {
            "EVENT_PUBLISHER": "kinesis",
            "KINESIS_STREAM": self.name,
            "KINESIS_REGION": REGION,
            "KINESIS_ENDPOINT_URL": gate.url,
        }

    def sink(self) -> EventSink:
        return kinesis_sink(self.name, REGION, self.gate.url)

    def entries(self) -> list[Entry]:
        return [entry for shard in ("shardId-000000000000", "shardId-000000000001") for entry in self._of(shard)]

    def _of(self, shard: str) -> Iterator[Entry]:
        client = self.client("kinesis")
        iterator = client.get_shard_iterator(StreamName=self.name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        while True:
            answer = client.get_records(ShardIterator=iterator)
            if not answer["Records"]:
                return
            for record in answer["Records"]:
                document = json.loads(record["Data"])
                yield _entry(document, document["key"], json.dumps(document["payload"]))
            iterator = answer["NextShardIterator"]


class EventBridgeBus(AwsBus):
    """A bus whose events all go to a queue."""

    too_large = 256 * 1024

    def __init__(self, server: MotoServer, gate: Gate) -> None:
        super().__init__(server, gate, "bus")
        queues, events = self.client("sqs"), self.client("events")
        self._queue = queues.create_queue(QueueName=self.name)["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.create_event_bus(Name=self.name)
        pattern = json.dumps({"source": ["kaireon"]})
        events.put_rule(Name=self.name, EventBusName=self.name, EventPattern=pattern)
        events.put_targets(Rule=self.name, EventBusName=self.name, Targets=[{"Id": "queue", "Arn": arn}])
        self._received: list[Entry] = []
        self.environment = {
            "EVENT_PUBLISHER": "eventbridge",
            "EVENTBRIDGE_BUS": self.name,
            "AWS_REGION": REGION,
            "EVENTBRIDGE_ENDPOINT_URL": gate.url,
        }

    def sink(self) -> EventSink:
        return eventbridge_sink(self.name, "kaireon", REGION, self.gate.url)

    def entries(self) -> list[Entry]:
        queues = self.client("sqs")
        while messages := queues.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                document = json.loads(message["Body"])
                detail = document["detail"]
                assert document["detail-type"] == detail["type"]
                self._received.append(_entry(detail, detail["key"], json.dumps(detail["payload"])))
                queues.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return list(self._received)


class PulsarBus:
    """A topic of its own."""

    too_large = 8 * 1024 * 1024  # Pulsar compresses before it weighs

    def __init__(self, server: PulsarLite) -> None:
        self._server = server
        self._topic = f"persistent://public/default/events-{uuid4()}"
        self.environment = {
            "EVENT_PUBLISHER": "pulsar",
            "PULSAR_URL": server.url,
            "PULSAR_TOPIC": self._topic,
        }
        self.cut_off = server.kill
        self.bring_back = server.start

    def sink(self) -> EventSink:
        return PulsarSink(self._server.url, self._topic, send_ms=1500)

    def entries(self) -> list[Entry]:
        quiet = pulsar.FileLogger(pulsar.LoggerLevel.Error, "/dev/null")
        with contextlib.closing(pulsar.Client(self._server.url, logger=quiet)) as client:
            reader = client.create_reader(self._topic, pulsar.MessageId.earliest)
            found: list[Entry] = []
            with contextlib.suppress(pulsar.Timeout):
                while True:
                    message = reader.read_next(timeout_millis=300)
                    found.append(_entry(message.properties(), message.partition_key(), message.data()))
            return found


def _entry(headers: dict[str, Any], key: str, payload: bytes | str) -> Entry:
    return Entry(
        id=headers["id"],
        type=headers["type"],
        tenant_id=headers["tenantId"],
        key=key,
        timestamp=headers["timestamp"],
        payload=json.loads(payload),
        traceparent=headers.get("traceparent"),
    )


def first_ids_by_key(entries: list[Entry]) -> dict[str, list[str]]:
    """Return each key's event ids in order of their first entry."""
    ids: dict[str, dict[str, None]] = {}
    for entry in entries:
        ids.setdefault(entry.key, {})[entry.id] = None
    return {key: list(of_key) for key, of_key in ids.items()}


OpenBus = Callable[[str], Bus]
