"""What follows from an event at once, as rows: written with the event in one transaction, or not at all."""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.engagement.behavioral_event import BehavioralEvent


class NewEnrollment(msgspec.Struct, frozen=True, kw_only=True):
    """A customer who enters a journey at a node, for so many days at most; `context` is what its steps may look at."""

    id: str
    journey_id: str
    customer_id: str
    node_id: str
    max_days: int
    context: dict[str, Any]


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger whose event came and whose condition holds; it fires unless it did for this customer too recently."""

    id: str
    trigger_id: str
    action: str
    cooldown_ms: int


class Reactions(msgspec.Struct, frozen=True, kw_only=True):
    """What one event brings about; `evaluated` counts the triggers that were looked at."""

    event: BehavioralEvent
    enrollments: tuple[NewEnrollment, ...] = ()
    firings: tuple[Firing, ...] = ()
    evaluated: int = 0


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: the first id under each key, how many were no news, and the jobs that were queued."""

    ids: dict[str, str]
    repeated_count: int
    jobs: tuple[UUID, ...] = ()


class EventStore(Protocol):
    """Keeps events. Every method raises `Unavailable` while Postgres cannot be reached."""

    async def record(self, tenant_id: str, batch: list[Reactions]) -> Recorded:
        """Write events and what follows from them in one transaction, each key once."""
        ...
