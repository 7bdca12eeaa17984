"""What is wrong with an event itself, so that no sink could ever take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kaireon_application.platform.event_schemas import EVENT_SCHEMAS

if TYPE_CHECKING:
    from kaireon_application.platform.outbox import OutboxEvent


def fault_of(event: OutboxEvent, max_bytes: int) -> str | None:
    """Return why this event must never be relayed, or None: unknown type, too large, not JSON, against its schema."""
    schema = EVENT_SCHEMAS.get(event.type)
    if schema is None:
        return f"unknown event type {event.type!r}; known are {', '.join(sorted(EVENT_SCHEMAS))}"
    if event.payload is None or event.size_bytes > max_bytes:
        return f"the payload has {event.size_bytes} bytes, more than EVENT_MAX_BYTES ({max_bytes}) allows"
    try:
        msgspec.json.decode(event.payload, type=schema)
    except msgspec.ValidationError as error:
        return f"the payload is against the schema of {event.type}: {error}"
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return f"the payload cannot be serialised: {error}"
    return None
