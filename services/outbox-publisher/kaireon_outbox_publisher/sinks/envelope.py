"""What of an event is told beside its payload, and the one document that holds both where a bus has no headers."""

from __future__ import annotations

from datetime import UTC

import msgspec

from kaireon_application.platform.outbox import OutboxEvent


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event as one JSON document; `payload` is the stored text, unread."""

    id: str
    type: str
    tenant_id: str
    key: str
    timestamp: str
    payload: msgspec.Raw


def headers_of(event: OutboxEvent) -> dict[str, str]:
    """Return `id`, `type`, `tenantId` and `timestamp` (when the event was committed, in UTC)."""
    return {
        "id": str(event.id),
        "type": event.type,
        "tenantId": str(event.tenant_id),
        "timestamp": msgspec.to_builtins(event.created_at.astimezone(UTC)),
    }


def trace_headers_of(event: OutboxEvent) -> dict[str, str]:
    """Return `traceparent` (W3C Trace Context) of an event that is traced."""
    return {} if event.traceparent is None else {"traceparent": event.traceparent}


def payload_of(event: OutboxEvent) -> bytes:
    """Return the payload's JSON text."""
    return event.payload or b"null"


def envelope_of(event: OutboxEvent) -> bytes:
    """Return the event as the JSON of an `Envelope`."""
    headers = headers_of(event)
    return msgspec.json.encode(
        Envelope(
            id=headers["id"],
            type=event.type,
            tenant_id=headers["tenantId"],
            key=event.key,
            timestamp=headers["timestamp"],
            payload=msgspec.Raw(payload_of(event)),
        )
    )
