"""How far inbound streams were taken, in Postgres, with what was taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from kaireon_application.engagement.consume_events import EventsRefused, LeaseMoved, PartitionLease, Taken
from kaireon_application.engagement.reactions import Recorded
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from kaireon_storage.postgres.behavioral_events import PostgresEvents
    from kaireon_storage.postgres.database import Database

# After a `kill -9` another process goes on after this time.
_LEASE_SECONDS = 15.0


class PostgresCheckpoints:
    """Implements `CheckpointStore`."""

    def __init__(self, database: Database, events: PostgresEvents, lease_seconds: float = _LEASE_SECONDS) -> None:
        """Keep checkpoints in this database."""
        self._database = database
        self._events = events
        self._lease_seconds = lease_seconds
        self._sql = queries("stream_checkpoints")

    async def lease(self, source: str, token: UUID, partitions: Sequence[str]) -> list[PartitionLease]:
        """Take the partitions that nobody holds, hold on to one's own, and return these."""
        async with self._database.system_transaction() as connection:
            held = self._sql.lease(
                connection,
                source=source,
                token=token,
                partitions=list(partitions),
                lease_seconds=self._lease_seconds,
            )
            return [PartitionLease(source=source, token=token, **row) async for row in held]

    async def release(self, source: str, token: UUID) -> None:
        """Let go of every partition."""
        async with self._database.system_transaction() as connection:
            await self._sql.release(connection, source=source, token=token)

    async def take(self, lease: PartitionLease, taken: Taken) -> Mapping[str, Recorded]:
        """Write it all in one transaction: as the system, because its events are of many tenants."""
        try:
            async with self._database.system_transaction() as connection:
                # First: whoever does not hold the partition must not do anything else.
                moved = await self._sql.advance(
                    connection,
                    source=lease.source,
                    partition=lease.partition,
                    token=lease.token,
                    position=taken.position,
                    previous=lease.position,
                )
                if moved is None:
                    raise LeaseMoved
                for dead in taken.dead:
                    await self._sql.bury(
                        connection,
                        id=uuid4(),
                        payload=Jsonb(dead.payload(lease)),
                        reason=dead.reason.replace("\x00", "\ufffd")[:4000],
                        tenant_id=None if dead.tenant_id is None else UUID(dead.tenant_id),
                    )
                # In one order everywhere, so that two partitions wait for each other and never deadlock.
                return {
                    tenant_id: await self._events.record_within(connection, tenant_id, batch)
                    for tenant_id, batch in sorted(taken.events.items())
                }
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise EventsRefused(f"the event cannot be kept: {error}") from error
