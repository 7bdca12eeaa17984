"""Behavioural events in Postgres, with what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from kaireon_application.engagement.behavioral_event import BehavioralEvent
from kaireon_application.engagement.reactions import Reactions, Recorded
from kaireon_storage.postgres.journeys import queue_advance, write_enrollments
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Connection, Database

_encode = msgspec.json.Encoder().encode


class PostgresEvents:
    """Implements `EventStore`."""

    def __init__(self, database: Database) -> None:
        """Keep events in this database."""
        self._database = database
        self._sql = queries("behavioral_events")

    async def record(self, tenant_id: str, batch: list[Reactions]) -> Recorded:
        """Write events and what follows from them in one transaction, each key once."""
        async with self._database.transaction(tenant_id) as connection:
            return await self.record_within(connection, tenant_id, batch)

    async def record_within(self, connection: Connection, tenant_id: str, batch: Sequence[Reactions]) -> Recorded:
        """As `record`, inside a transaction that is open."""
        known = await self._claim(connection, tenant_id, batch)
        new = _new(batch, known)
        await self._store(connection, tenant_id, [one for one in new if one.event.is_kept])
        return Recorded(known=known, jobs=tuple(await self._react(connection, UUID(tenant_id), new)))

    async def _react(self, connection: Connection, tenant_id: UUID, new: Sequence[Reactions]) -> list[UUID]:
        """End waits, let customers into journeys, and return the jobs that go on from there."""
        # An enrolment that begins with an event does not wait for that event.
        woken = await self._wake(connection, tenant_id, [one.event for one in new])
        entered = await write_enrollments(connection, tenant_id, [each for one in new for each in one.enrollments])
        return await queue_advance(connection, tenant_id, [*woken, *entered])

    async def _wake(self, connection: Connection, tenant_id: UUID, events: Sequence[BehavioralEvent]) -> list[UUID]:
        if not events:
            return []
        woken = queries("journeys").wake(
            connection,
            tenant_id=tenant_id,
            customer_ids=[event.customer_id for event in events],
            event_types=[event.type for event in events],
        )
        return [row["id"] async for row in woken]

    async def _claim(self, connection: Connection, tenant_id: str, batch: Sequence[Reactions]) -> dict[str, str]:
        """Claim the keys, and return the first id under each of those that were used before."""
        first = dict[str, str]()
        for one in batch:
            if one.event.key is not None:
                first.setdefault(one.event.key, one.event.id)
        if not first:
            return {}
        claimed = self._sql.claim_keys(connection, tenant_id=tenant_id, keys=list(first), ids=list(first.values()))
        won = {row["key"] async for row in claimed}
        repeated = [event.key for event in (one.event for one in batch) if event.key and event.id != first[event.key]]
        wanted = list({*(set(first) - won), *repeated})
        if not wanted:
            return {}
        return {
            row["key"]: row["id"] async for row in self._sql.known_ids(connection, tenant_id=tenant_id, keys=wanted)
        }

    async def _store(self, connection: Connection, tenant_id: str, new: Sequence[Reactions]) -> None:
        if not new:
            return
        events = [one.event for one in new]
        await self._sql.store_events(
            connection,
            tenant_id=tenant_id,
            ids=[UUID(event.id) for event in events],
            customer_ids=[event.customer_id for event in events],
            occurred_at_ms=[float(event.occurred_at_ms) for event in events],
            details=[_encode(event.details()).decode() for event in events],
        )


def _new(batch: Sequence[Reactions], known: dict[str, str]) -> list[Reactions]:
    """Return those that are events of their own: without a key, or the first under it."""
    return [one for one in batch if one.event.key is None or known.get(one.event.key, one.event.id) == one.event.id]
