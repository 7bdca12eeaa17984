"""A Kinesis data stream as a source: shards are partitions, positions are sequence numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import boto3 as untyped_boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kaireon_application.engagement.consume_events import InboundRecord
from kaireon_stream.source import Batch, SourceUnavailable

boto3: Any = untyped_boto3

_CONFIG = Config(connect_timeout=3, read_timeout=4, retries={"total_max_attempts": 1}, tcp_keepalive=True)
_COUNT = 500
# A shard takes five reads a second, all readers together.
_PAUSE_SECONDS = 0.25
_FAULTS = (ClientError, BotoCoreError, OSError)


class KinesisSource:
    """`Source` over one data stream."""

    def __init__(self, stream: str, region: str, endpoint_url: str | None = None) -> None:
        self._stream = stream
        self._client = boto3.client("kinesis", region_name=region, endpoint_url=endpoint_url, config=_CONFIG)
        # Where to read on, by shard and position: an iterator is one use, and five minutes.
        self._iterators: dict[str, tuple[str | None, str]] = {}

    async def partitions(self) -> Sequence[str]:
        """Return the ids of the shards, closed ones too: what is left in them is read."""
        return await asyncio.to_thread(self._partitions)

    def _partitions(self) -> list[str]:
        try:
            pages = self._client.get_paginator("list_shards").paginate(StreamName=self._stream)
            return [shard["ShardId"] for page in pages for shard in page["Shards"]]
        except _FAULTS as error:
            raise SourceUnavailable(f"Kinesis cannot be read: {error}") from error

    async def read(self, partition: str, after: str | None) -> Batch:
        """Return records after a sequence number."""
        batch = await asyncio.to_thread(self._read, partition, after)
        await asyncio.sleep(_PAUSE_SECONDS)
        return batch

    def _read(self, partition: str, after: str | None) -> Batch:
        position, iterator = self._iterators.pop(partition, (None, ""))
        try:
            if not iterator or position != after:
                iterator = self._iterator(partition, after)
            answer = self._client.get_records(ShardIterator=iterator, Limit=_COUNT)
        except _FAULTS as error:
            raise SourceUnavailable(f"Kinesis cannot be read: {error}") from error
        records = [InboundRecord(position=one["SequenceNumber"], content=one["Data"]) for one in answer["Records"]]
        if answer.get("NextShardIterator"):
            self._iterators[partition] = (records[-1].position if records else after, answer["NextShardIterator"])
        return Batch(records=records, lag_seconds=answer.get("MillisBehindLatest", 0) / 1000)

    def _iterator(self, partition: str, after: str | None) -> str:
        how = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if after is None
            else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        )
        return self._client.get_shard_iterator(StreamName=self._stream, ShardId=partition, **how)["ShardIterator"]

    async def close(self) -> None:
        """Nothing is held between two calls but pooled connections, which end with the process."""
