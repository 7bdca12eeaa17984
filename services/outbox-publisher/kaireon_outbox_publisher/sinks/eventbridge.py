"""An EventBridge bus as an event sink: PutEvents, every entry's answer looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaireon_application.platform.outbox import OutboxEvent
from kaireon_outbox_publisher.sinks.aws import AwsSink, CallLimits, Entry, Reply, aws_client
from kaireon_outbox_publisher.sinks.envelope import envelope_of

# One entry may fill a call.
_LIMITS = CallLimits(entry_bytes=256 * 1024, call_bytes=256 * 1024, call_entries=10)
_TIME_BYTES = 14


def eventbridge_sink(bus: str, source: str, region: str, endpoint_url: str | None) -> AwsSink:
    """Return a sink whose details are the JSON of an `Envelope`, and whose detail types are event types."""
    client = aws_client("events", region, endpoint_url)

    def encode(event: OutboxEvent) -> Entry:
        detail = envelope_of(event)
        return Entry(
            event=event,
            fields={
                "Time": event.created_at,
                "Source": source,
                "DetailType": event.type,
                "Detail": detail.decode(),
                "EventBusName": bus,
            },
            size_bytes=_TIME_BYTES + len(source.encode()) + len(event.type.encode()) + len(detail),
        )

    def call(entries: Sequence[dict[str, Any]]) -> list[Reply]:
        answer = client.put_events(Entries=entries)
        return [Reply(code=one.get("ErrorCode"), message=one.get("ErrorMessage")) for one in answer["Entries"]]

    return AwsSink("EventBridge", _LIMITS, encode, call)
