"""The outbox: events that were committed with a fact and wait to be relayed to the event bus."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.errors import KaireonError

# A hint that there may be pending events: published on Redis, or notified in Postgres. Polling finds them too.
WAKE_REDIS_CHANNEL = "kaireon:outbox:wake"
WAKE_POSTGRES_CHANNEL = "kaireon_outbox"


class OutboxEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One pending event. `attempts` counts earlier tries that the sink refused for this event alone.

    `payload` is the JSON text as stored, or None where it is larger than was asked for; `size_bytes` is its length.
    """

    id: UUID
    tenant_id: UUID
    type: str
    key: str
    payload: bytes | None
    size_bytes: int
    attempts: int
    created_at: datetime
    # The trace that it belongs to, for buses whose messages have headers.
    traceparent: str | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be relayed, and why."""

    event: OutboxEvent
    reason: str


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the claimed events; those not named stay pending, untouched."""

    sent: tuple[OutboxEvent, ...] = ()
    refused: tuple[Refusal, ...] = ()
    dead: tuple[Refusal, ...] = ()


class SinkUnavailable(KaireonError):
    """The event bus cannot be reached, or accepts nothing at the moment."""

    code = "UNAVAILABLE"

    def __init__(self, message: str | None = None, kept: frozenset[UUID] = frozenset()) -> None:
        """Carry the ids of the events that were acknowledged before the fault."""
        super().__init__(message)
        self.kept = kept


class EventSink(Protocol):
    """Where events go. The relay calls it with one event per key at most; it may be called from one task only."""

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        """Hand over every event, in order, and return for each None when it is kept, or why it alone is refused.

        Raises `SinkUnavailable` when it cannot tell, or when the fault is not the event's: all but `kept` are tried
        again, the first of them alone. Only then may it take a fault that looks general for that event's own.
        """
        ...

    async def trim(self) -> int:
        """Remove what was kept for long enough; return how many entries went, 0 where the bus does that by itself.

        Raises `SinkUnavailable`.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class ClaimLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one claim may take: `events` in all from `lanes` lanes, `total_bytes` of payloads in memory."""

    events: int = 500
    lanes: int = 32
    total_bytes: int = 8 * 1024 * 1024
    event_bytes: int = 1024 * 1024


class Claim(Protocol):
    """Events that nobody else relays until the claim ends."""

    @property
    def events(self) -> Sequence[OutboxEvent]:
        """Pending events, in commit order within each (tenant, key), none left out between two of them."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether events may wait that the limits kept out of this claim."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Record what became of them; kept when the claim ends without an error."""
        ...


class OutboxBacklog(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits: `events` is exact up to a bound, then that bound; `oldest_at` is None when nothing waits."""

    events: int
    oldest_at: datetime | None


class Outbox(Protocol):
    """The stored events, across tenants. Raises `Unavailable` while Postgres cannot be reached."""

    def claim(self, limits: ClaimLimits) -> AbstractAsyncContextManager[Claim]:
        """Claim some events; with an error, or with the process, the claim ends and nothing of it is recorded."""
        ...

    async def backlog(self) -> OutboxBacklog:
        """Measure what waits."""
        ...

    async def end_stuck_claims(self) -> int:
        """Take their lanes from publishers that no longer move; return from how many claims."""
        ...

    async def republish_since(self, since: datetime) -> int:
        """Make every event that was sent at or after `since` pending again; return how many."""
        ...

    async def release_stuck(self, created_before: datetime) -> int:
        """Make events in status `processing` that are older than this pending again; return how many."""
        ...
