"""A Kinesis data stream as an event sink: PutRecords, partitioned by customer, every record's answer looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from kaireon_application.platform.outbox import OutboxEvent
from kaireon_outbox_publisher.sinks.aws import AwsSink, CallLimits, Entry, Reply, aws_client
from kaireon_outbox_publisher.sinks.envelope import envelope_of

_LIMITS = CallLimits(entry_bytes=1024 * 1024, call_bytes=5 * 1024 * 1024, call_entries=500)
_LONGEST_PARTITION_KEY = 256


def kinesis_sink(stream: str, region: str, endpoint_url: str | None) -> AwsSink:
    """Return a sink whose records are the JSON of an `Envelope`."""
    client = aws_client("kinesis", region, endpoint_url)

    def call(entries: Sequence[dict[str, Any]]) -> list[Reply]:
        answer = client.put_records(StreamName=stream, Records=entries)
        return [Reply(code=one.get("ErrorCode"), message=one.get("ErrorMessage")) for one in answer["Records"]]

    return AwsSink("Kinesis", _LIMITS, _entry, call)


def _entry(event: OutboxEvent) -> Entry:
    data, partition_key = envelope_of(event), _partition_key(event)
    return Entry(
        event=event,
        fields={"Data": data, "PartitionKey": partition_key},
        size_bytes=len(data) + len(partition_key.encode()),
    )


def _partition_key(event: OutboxEvent) -> str:
    # Kinesis takes 1 to 256 characters.
    if 1 <= len(event.key) <= _LONGEST_PARTITION_KEY:
        return event.key
    return hashlib.sha256(event.key.encode()).hexdigest()
