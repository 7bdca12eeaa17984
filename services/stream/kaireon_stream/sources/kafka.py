"""Kafka, Redpanda and MSK as a source: partitions are assigned by us, positions are offsets, groups are not used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from kaireon_application.engagement.consume_events import InboundRecord
from kaireon_stream.source import Batch, SourceUnavailable

_WAIT_SECONDS = 0.5
_TIMEOUT_SECONDS = 5.0
_COUNT = 500
_CONSUMER: Mapping[str, Any] = {
    # Never joined: librdkafka wants one all the same.
    "group.id": "kaireon-stream",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # What was deleted before it was read is gone; go on with the oldest there is.
    "auto.offset.reset": "earliest",
    "enable.partition.eof": False,
    "isolation.level": "read_committed",
    "socket.connection.setup.timeout.ms": 5_000,
    "reconnect.backoff.max.ms": 1_000,
    "socket.keepalive.enable": True,
    "log_level": 2,
}


class KafkaSource:
    """`Source` over one topic; a consumer for each partition, which stays where it was read to."""

    def __init__(self, configuration: Mapping[str, Any], topic: str) -> None:
        self._configuration = {**_CONSUMER, **configuration}
        self._topic = topic
        self._asker = Consumer(self._configuration)
        self._consumers: dict[str, tuple[Consumer, str | None]] = {}

    async def partitions(self) -> Sequence[str]:
        """Return the numbers of the topic's partitions."""
        return await asyncio.to_thread(self._partitions)

    def _partitions(self) -> list[str]:
        try:
            topic = self._asker.list_topics(self._topic, timeout=_TIMEOUT_SECONDS).topics[self._topic]
        except KafkaException as error:
            raise SourceUnavailable(f"Kafka cannot be reached: {error.args[0].str()}") from error
        if topic.error is not None:
            raise SourceUnavailable(f"topic {self._topic} cannot be read: {topic.error.str()}")
        return [str(number) for number in sorted(topic.partitions)]

    async def read(self, partition: str, after: str | None) -> Batch:
        """Return messages from an offset on."""
        return await asyncio.to_thread(self._read, partition, after)

    def _read(self, partition: str, after: str | None) -> Batch:
        consumer, position = self._consumers.get(partition) or (Consumer(self._configuration), "")
        try:
            if position != after:
                offset = OFFSET_BEGINNING if after is None else int(after)
                consumer.assign([TopicPartition(self._topic, int(partition), offset)])
            self._consumers[partition] = (consumer, after)
            messages = consumer.consume(_COUNT, timeout=_WAIT_SECONDS)
            records = [_record(message) for message in messages if not _is_harmless(message)]
            if records:
                self._consumers[partition] = (consumer, records[-1].position)
            return Batch(records=records, lag_seconds=self._lag_seconds(consumer, partition, messages))
        except KafkaException as error:
            del self._consumers[partition]
            consumer.close()
            raise SourceUnavailable(f"Kafka cannot be read: {error.args[0].str()}") from error

    def _lag_seconds(self, consumer: Consumer, partition: str, messages: Sequence[Message]) -> float:
        """Return the age of the last message read, where there are more after it."""
        if not messages:
            return 0.0
        _, high = consumer.get_watermark_offsets(TopicPartition(self._topic, int(partition)), cached=True)
        last = messages[-1]
        if (last.offset() or 0) + 1 >= high:
            return 0.0
        return max(0.0, time.time() - last.timestamp()[1] / 1000)

    async def close(self) -> None:
        """Close the connections."""
        for consumer in (self._asker, *(one for one, _ in self._consumers.values())):
            await asyncio.to_thread(consumer.close)
        self._consumers.clear()


def _is_harmless(message: Message) -> bool:
    """Whether a message only tells of the end; raises what else it tells."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name for it
        return True
    raise KafkaException(error)


def _record(message: Message) -> InboundRecord:
    offset, value = message.offset(), message.value()
    assert offset is not None  # noqa: S101 - a message that was read has one
    content = value.encode() if isinstance(value, str) else value or b""
    return InboundRecord(position=str(offset + 1), content=content)


def msk_token(region: str) -> Callable[[str], tuple[str, float]]:
    """Return librdkafka's callback for a token that is signed with the AWS credentials of this process."""
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 - an extra of its own

    def fetch(_configuration: str) -> tuple[str, float]:
        token, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
        return token, expires_ms / 1000

    return fetch
