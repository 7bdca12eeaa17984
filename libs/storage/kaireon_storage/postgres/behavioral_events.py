"""Behavioural events in Postgres, with what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from kaireon_application.engagement.behavioral_event import BehavioralEvent
from kaireon_application.engagement.reactions import Reactions, Recorded
from kaireon_storage.postgres.journeys import queue_advance, write_enrollments
from kaireon_storage.postgres.queries import queries
from kaireon_storage.postgres.triggers import fire

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
        first = _first_of_keys(batch)
        won = await self._claim(connection, tenant_id, first)
        ids = await self._known(connection, tenant_id, [key for key in first if key not in won])
        # An event is new without a key, or as the first of the batch under a key that was never used.
        new = [one for one in batch if one.event.key is None or (one.event.key in won and first[one.event.key] is one)]
        ids |= {key: one.event.id for key, one in first.items() if key in won}
        await self._store(connection, tenant_id, [one for one in new if one.event.is_kept])
        jobs = await self._react(connection, UUID(tenant_id), new)
        return Recorded(ids=ids, repeated_count=len(batch) - len(new), jobs=tuple(jobs))

    async def _react(self, connection: Connection, tenant_id: UUID, new: Sequence[Reactions]) -> list[UUID]:
        """End waits, let customers into journeys, and return the jobs that go on from there."""
        # An enrolment that begins with an event does not wait for that event.
        woken = await self._wake(connection, tenant_id, [one.event for one in new])
        entered = await write_enrollments(connection, tenant_id, [each for one in new for each in one.enrollments])
        jobs = await queue_advance(connection, tenant_id, [*woken, *entered])
        # In one order everywhere, so that two batches wait for each other's cooldowns and never deadlock.
        fired = [(one, firing) for one in new for firing in one.firings]
        for one, firing in sorted(fired, key=lambda pair: (pair[1].trigger_id, pair[0].event.customer_id)):
            job_id = await fire(connection, tenant_id, one, firing)
            jobs += [] if job_id is None else [job_id]
        return jobs

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

    async def _claim(self, connection: Connection, tenant_id: str, first: Mapping[str, Reactions]) -> set[str]:
        """Claim the keys, and return those that were never used before."""
        if not first:
            return set()
        ids = [one.event.id for one in first.values()]
        claimed = self._sql.claim_keys(connection, tenant_id=tenant_id, keys=list(first), ids=ids)
        return {row["key"] async for row in claimed}

    async def _known(self, connection: Connection, tenant_id: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the first id under each of these keys."""
        if not keys:
            return {}
        known = self._sql.known_ids(connection, tenant_id=tenant_id, keys=list(keys))
        return {row["key"]: row["id"] async for row in known}

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


def _first_of_keys(batch: Sequence[Reactions]) -> dict[str, Reactions]:
    """Return the first event of a batch under each key."""
    first = dict[str, Reactions]()
    for one in batch:
        if one.event.key is not None:
            first.setdefault(one.event.key, one)
    return first
