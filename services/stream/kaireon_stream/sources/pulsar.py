"""A Pulsar topic as a source: readers, no subscription, positions are message ids."""

from __future__ import annotations

import asyncio
import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import pulsar as untyped_pulsar

from kaireon_application.engagement.consume_events import InboundRecord
from kaireon_stream.source import Batch, SourceUnavailable

pulsar: Any = untyped_pulsar

_CONNECT_MS = 3_000
_OPERATION_SECONDS = 5
_WAIT_MS = 500
_COUNT = 500


class PulsarSource:
    """`Source` over one topic; a reader for each partition, which stays where it was read to."""

    def __init__(self, url: str, topic: str, *, token: str | None = None, ca_file: str | None = None) -> None:
        self._topic = topic
        self._client = pulsar.Client(
            url,
            authentication=None if token is None else pulsar.AuthenticationToken(token),
            operation_timeout_seconds=_OPERATION_SECONDS,
            connection_timeout_ms=_CONNECT_MS,
            tls_trust_certs_file_path=ca_file,
            tls_validate_hostname=True,
            logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, "/dev/null"),
        )
        self._readers: dict[str, tuple[Any, str | None]] = {}

    async def partitions(self) -> Sequence[str]:
        """Return the names of the topic's partitions; its own where it has none."""
        try:
            return await asyncio.to_thread(self._client.get_topic_partitions, self._topic)
        except pulsar.PulsarException as error:
            raise SourceUnavailable(f"Pulsar cannot be reached: {error}") from error

    async def read(self, partition: str, after: str | None) -> Batch:
        """Return messages after an id."""
        return await asyncio.to_thread(self._read, partition, after)

    def _read(self, partition: str, after: str | None) -> Batch:
        try:
            reader = self._reader(partition, after)
            messages = list[Any]()
            while len(messages) < _COUNT:
                try:
                    messages.append(reader.read_next(timeout_millis=1 if messages else _WAIT_MS))
                except pulsar.Timeout:
                    break
            has_more = bool(messages) and reader.has_message_available()
        except pulsar.PulsarException as error:
            self._readers.pop(partition, None)
            raise SourceUnavailable(f"Pulsar cannot be read: {error}") from error
        records = [InboundRecord(position=_text(one.message_id()), content=one.data()) for one in messages]
        if records:
            self._readers[partition] = (reader, records[-1].position)
        lag_seconds = max(0.0, time.time() - messages[-1].publish_timestamp() / 1000) if has_more else 0.0
        return Batch(records=records, lag_seconds=lag_seconds)

    def _reader(self, partition: str, after: str | None) -> Any:
        found = self._readers.pop(partition, None)
        if found is not None and found[1] == after:
            self._readers[partition] = found
            return found[0]
        if found is not None:
            found[0].close()
        start = pulsar.MessageId.earliest if after is None else pulsar.MessageId.deserialize(b64decode(after))
        reader = self._client.create_reader(partition, start)
        self._readers[partition] = (reader, after)
        return reader

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.close)


def _text(message_id: Any) -> str:
    return b64encode(message_id.serialize()).decode()
