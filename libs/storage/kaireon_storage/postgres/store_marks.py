"""Marks in Postgres: claimed by row locks, which end with the transaction or the connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from kaireon_application.customers.interaction_store import InteractionRecord
from kaireon_application.customers.store_marks import Mark, MarkBacklog
from kaireon_storage.postgres.database import Connection, Database, Row
from kaireon_storage.postgres.queries import queries

# Longer than a write may take, so that only a stopped repairer loses its marks.
_IDLE_TIMEOUT = "30s"
_REFUSED_SECONDS = 3600.0
_BACKLOG_BOUND = 100_000
_LONGEST_REASON = 2000


class PostgresStoreMarks:
    """Implements `StoreMarks`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("interaction_marks")

    @asynccontextmanager
    async def claim(self, limit: int) -> AsyncGenerator[PostgresMarkClaim]:
        """Lock marks, the longest due first."""
        async with self._database.system_transaction() as connection:
            claimed = self._sql.claim_marks(connection, limit=limit, idle_timeout=_IDLE_TIMEOUT)
            marks = [_mark(row) async for row in claimed]
            yield PostgresMarkClaim(self._sql, connection, marks)

    async def forget(self, marks: Sequence[Mark]) -> None:
        """Delete marks."""
        async with self._database.system_transaction() as connection:
            await self._sql.delete_marks(connection, **_keys(marks))

    async def forget_customer(self, tenant_id: UUID, customer_id: str) -> None:
        """Delete a customer's marks."""
        async with self._database.transaction(tenant_id) as connection:
            await self._sql.delete_customer_marks(connection, tenant_id=tenant_id, customer_id=customer_id)

    async def backlog(self) -> MarkBacklog:
        """Count marks, up to a bound, and find the one that is due longest."""
        async with self._database.system_transaction() as connection:
            return MarkBacklog(**await self._sql.measure_marks(connection, bound=_BACKLOG_BOUND))


class PostgresMarkClaim:
    """`MarkClaim` that lasts as long as its transaction."""

    def __init__(self, sql: Any, connection: Connection, marks: Sequence[Mark]) -> None:
        self._sql = sql
        self._connection = connection
        self.marks = marks

    async def settle(self, done: Sequence[Mark], refused: Sequence[tuple[Mark, str]]) -> None:
        """Delete marks, and postpone others."""
        await self._sql.delete_marks(self._connection, **_keys(done))
        if refused:
            reasons = [reason.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_LONGEST_REASON] for _, reason in refused]
            keys = _keys([mark for mark, _ in refused])
            await self._sql.postpone_marks(self._connection, **keys, reasons=reasons, seconds=_REFUSED_SECONDS)


def _mark(row: Row) -> Mark:
    mark_id = row.pop("mark_id")
    record = None if row["id"] is None else InteractionRecord(**row)
    return Mark(tenant_id=row["tenant_id"], customer_id=row["customer_id"], id=mark_id, record=record)


def _keys(marks: Sequence[Mark]) -> dict[str, list[Any]]:
    return {
        "tenant_ids": [mark.tenant_id for mark in marks],
        "customer_ids": [mark.customer_id for mark in marks],
        "ids": [mark.id for mark in marks],
    }
