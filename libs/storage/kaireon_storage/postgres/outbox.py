"""The outbox in Postgres: lanes are claimed by row locks, which end with the transaction or the connection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosql

from kaireon_application.platform.outbox import (
    WAKE_POSTGRES_CHANNEL,
    ClaimLimits,
    OutboxBacklog,
    OutboxEvent,
    Refusal,
    Settlement,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from kaireon_storage.postgres.database import Connection, Database

# Longer than the slowest answer of a sink between two statements, so that only a stopped publisher loses its lanes.
_IDLE_TIMEOUT = "20s"
# Longer than that and each statement of a claim at its own time-out.
_LONGEST_CLAIM = "90s"
_BACKLOG_BOUND = 100_000


class PostgresOutbox:
    """`Outbox` over the tables `outbox_events`, `outbox_lanes` and `outbox_dead_letters`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql: Any = aiosql.from_path(
            Path(__file__).parent / "sql" / "outbox.sql", "apsycopg", mandatory_parameters=False
        )

    @asynccontextmanager
    async def claim(self, limits: ClaimLimits) -> AsyncGenerator[PostgresClaim]:
        """Lock free lanes with pending events and read the oldest of each tenant in them."""
        async with self._database.system_transaction() as connection:
            yield await self._read(connection, limits)

    async def _read(self, connection: Connection, limits: ClaimLimits) -> PostgresClaim:
        claimed = self._sql.claim_lanes(connection, lane_limit=limits.lanes, idle_timeout=_IDLE_TIMEOUT)
        lanes: list[int] = [row["lane"] async for row in claimed]
        if not lanes:
            return PostgresClaim(self._sql, connection, (), has_more=False)
        # A statement of its own: it must see what the former holder of these lanes has committed.
        rows = self._sql.read_pending(
            connection,
            lanes=lanes,
            event_limit=limits.events,
            event_bytes=limits.event_bytes,
            total_bytes=limits.total_bytes,
        )
        read = [row async for row in rows]
        # Lanes that were left out have their turn soon: only a backlog is worth a claim at once.
        is_backlog = any(row["has_more"] for row in read) or len(read) >= limits.events
        has_more = is_backlog or sum(row["size_bytes"] for row in read) >= limits.total_bytes
        return PostgresClaim(self._sql, connection, [_event(row) for row in read], has_more=has_more)

    async def backlog(self) -> OutboxBacklog:
        """Count pending events, up to a bound, and find the oldest."""
        async with self._database.system_transaction() as connection:
            return OutboxBacklog(**await self._sql.measure_backlog(connection, bound=_BACKLOG_BOUND))

    async def end_stuck_claims(self) -> int:
        """End the sessions whose claims last longer than any live publisher's; needs the publishers' own login."""
        async with self._database.system_transaction() as connection:
            await self._sql.resume_login_role(connection)
            return len([row async for row in self._sql.end_stuck_claims(connection, oldest=_LONGEST_CLAIM)])

    async def republish_since(self, since: datetime) -> int:
        """Make sent events pending again, all in one transaction: a part of them first would break the order."""
        async with self._database.system_transaction() as connection:
            await self._sql.allow_long_statement(connection)
            count: int = await self._sql.republish_since(connection, since=since)
            await self._wake(connection)
        return count

    async def release_stuck(self, created_before: datetime) -> int:
        """Make events in status `processing` pending again."""
        async with self._database.system_transaction() as connection:
            count: int = await self._sql.release_stuck(connection, created_before=created_before)
            await self._wake(connection)
        return count

    async def _wake(self, connection: Connection) -> None:
        await self._sql.notify_publishers(connection, channel=WAKE_POSTGRES_CHANNEL)


class PostgresClaim:
    """`Claim` that lasts as long as its transaction."""

    def __init__(self, sql: Any, connection: Connection, events: Sequence[OutboxEvent], *, has_more: bool) -> None:
        self._sql = sql
        self._connection = connection
        self.events = events
        self.has_more = has_more

    async def settle(self, settlement: Settlement) -> None:
        """Record what became of the events."""
        if settlement.sent:
            await self._sql.mark_sent(self._connection, ids=[event.id for event in settlement.sent])
        if settlement.refused:
            await self._sql.mark_refused(self._connection, **_reasons(settlement.refused))
        if settlement.dead:
            await self._sql.bury(self._connection, **_reasons(settlement.dead))


def _event(row: dict[str, Any]) -> OutboxEvent:
    # Read as text: bytea comes as hexadecimal digits.
    payload = None if row["payload"] is None else row["payload"].encode()
    return OutboxEvent(
        id=row["id"],
        tenant_id=row["tenant_id"],
        type=row["type"],
        key=row["key"],
        payload=payload,
        size_bytes=row["size_bytes"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        traceparent=row["traceparent"],
    )


def _reasons(refusals: Sequence[Refusal]) -> dict[str, list[Any]]:
    # Postgres stores no NUL, and a sink may say anything.
    return {
        "ids": [refusal.event.id for refusal in refusals],
        "reasons": [refusal.reason.replace("\0", "\N{REPLACEMENT CHARACTER}")[:2000] for refusal in refusals],
    }
