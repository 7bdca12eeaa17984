"""Every inbound stream as a test sees it: how the tier is pointed at it, and how records get there."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import uuid4

import boto3 as untyped_boto3
import pulsar as untyped_pulsar
from confluent_kafka import Producer
from redis import Redis

from kaireon_testkit.native.aws import MotoServer
from kaireon_testkit.native.kafka_mock import MockKafka
from kaireon_testkit.native.pulsar import PulsarLite

boto3: Any = untyped_boto3
pulsar: Any = untyped_pulsar

REGION = "eu-central-1"


class Inbound(Protocol):
    """One stream; what is sent under one key is read in that order."""

    environment: dict[str, str]

    def send(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Append (key, content) records."""
        ...


class RedisInbound:
    """A stream of the session's server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._key = f"inbound-{uuid4()}"
        self.environment = {"STREAM_SOURCE": "redis", "STREAM_TOPIC": self._key}

    def send(self, records: Sequence[tuple[str, bytes]]) -> None:
        with Redis.from_url(self._url) as client, client.pipeline(transaction=False) as pipeline:
            for _, content in records:
                pipeline.xadd(self._key, {"event": content})
            pipeline.execute()


class KafkaInbound:
    """A topic of its own."""

    def __init__(self, broker: MockKafka) -> None:
        self._broker = broker
        self._topic = f"inbound-{uuid4()}"
        self.environment = {
            "STREAM_SOURCE": "kafka",
            "STREAM_TOPIC": self._topic,
            "KAFKA_BROKERS": broker.bootstrap,
        }

    def send(self, records: Sequence[tuple[str, bytes]]) -> None:
        producer = Producer({"bootstrap.servers": self._broker.bootstrap, "log_level": 2})
        for key, content in records:
            producer.produce(self._topic, key=key.encode(), value=content)
        assert producer.flush(10) == 0


class KinesisInbound:
    """A stream of two shards."""

    def __init__(self, server: MotoServer) -> None:
        endpoint = f"http://127.0.0.1:{server.port}"
        self._stream = f"inbound-{uuid4().hex[:8]}"
        self._client = boto3.client("kinesis", region_name=REGION, endpoint_url=endpoint)
        self._client.create_stream(StreamName=self._stream, ShardCount=2)
        self.environment = {
            "STREAM_SOURCE": "kinesis",
            "STREAM_TOPIC": self._stream,
            "KINESIS_REGION": REGION,
            "KINESIS_ENDPOINT_URL": endpoint,
        }

    def send(self, records: Sequence[tuple[str, bytes]]) -> None:
        for first in range(0, len(records), 400):
            entries = [{"PartitionKey": key, "Data": content} for key, content in records[first : first + 400]]
            answer = self._client.put_records(StreamName=self._stream, Records=entries)
            assert answer["FailedRecordCount"] == 0


class PulsarInbound:
    """A topic of its own."""

    def __init__(self, server: PulsarLite) -> None:
        self._url = server.url
        self._topic = f"persistent://public/default/inbound-{uuid4()}"
        self.environment = {"STREAM_SOURCE": "pulsar", "STREAM_TOPIC": self._topic, "PULSAR_URL": server.url}

    def send(self, records: Sequence[tuple[str, bytes]]) -> None:
        quiet = pulsar.FileLogger(pulsar.LoggerLevel.Error, "/dev/null")
        with contextlib.closing(pulsar.Client(self._url, logger=quiet)) as client:
            producer = client.create_producer(self._topic)
            for key, content in records:
                producer.send(content, partition_key=key)
