"""Retention in Postgres: partitions come and go by month, rows go in chunks of one transaction each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosql
import psycopg

from kaireon_application.errors import KaireonError
from kaireon_application.platform.cleanup import DEFAULT_RETENTION_DAYS, Counts, TenantRetention

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from kaireon_storage.postgres.database import Connection, Database

_CHUNK = 5_000
_MIN_DAYS = 1
_MAX_DAYS = 3650


class RetentionFailed(KaireonError):
    """Postgres refused a step of the clean-up."""


class PostgresRetention:
    """`Retention` over the tables of the schema."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql: Any = aiosql.from_path(
            Path(__file__).parent / "sql" / "retention.sql", "apsycopg", mandatory_parameters=False
        )

    async def tenants(self) -> list[TenantRetention]:
        """Read every tenant's `retentionDays`; one that is missing or no number is the default."""
        async with self._system() as connection:
            rows = [row async for row in self._sql.read_tenant_retentions(connection)]
        return [TenantRetention(tenant_id=row["tenant_id"], days=_days(row["days"])) for row in rows]

    async def ensure_partitions(self, first_at: datetime, last_at: datetime) -> int:
        """Create what is missing; rows that had come too early move in from the default partition."""
        async with self._system() as connection:
            row = await self._sql.ensure_partitions(connection, first_at=first_at, last_at=last_at)
        return row["created"]

    async def drop_partitions(self, before: datetime) -> int:
        """Drop whole months."""
        async with self._system() as connection:
            row = await self._sql.drop_partitions(connection, before=before)
        return row["dropped"]

    async def delete_history(self, tenant_id: UUID, before: datetime, snapshots_before: datetime) -> Counts:
        """Delete in chunks, as this tenant."""
        old = {"tenant_id": tenant_id, "before": before, "chunk": _CHUNK}
        day = {"tenant_id": tenant_id, "before_day": before.date().isoformat(), "chunk": _CHUNK}
        return {
            "interactions": await self._chunks(self._tenant(tenant_id), self._sql.delete_interactions, old),
            "decisionTraces": await self._chunks(self._tenant(tenant_id), self._sql.delete_traces, old),
            "dailySummaries": await self._chunks(self._tenant(tenant_id), self._sql.delete_daily_summaries, day),
            "batchRuns": await self._at_once(tenant_id, self._sql.delete_runs, before),
            "snapshots": await self._at_once(tenant_id, self._sql.delete_snapshots, snapshots_before),
        }

    async def _at_once(self, tenant_id: UUID, delete: Callable[..., Awaitable[int]], before: datetime) -> int:
        async with self._tenant(tenant_id)() as connection:
            return await delete(connection, tenant_id=tenant_id, before=before)

    async def delete_expired(self, now: datetime, short_lived_before: datetime) -> Counts:
        """Delete in chunks, over all tenants."""
        ended = {"before": now, "chunk": _CHUNK}
        old = {"before": short_lived_before, "chunk": _CHUNK}
        return {
            "suppressions": await self._chunks(self._system, self._sql.delete_suppressions, ended),
            "variantAssignments": await self._chunks(self._system, self._sql.delete_assignments, ended),
            "tallies": await self._chunks(self._system, self._sql.delete_tallies, ended),
            "idempotencyKeys": await self._chunks(self._system, self._sql.delete_idempotency_keys, old),
            "sentEvents": await self._chunks(self._system, self._sql.delete_sent_events, old),
        }

    async def _chunks(
        self,
        transaction: Callable[[], AbstractAsyncContextManager[Connection]],
        delete: Callable[..., Awaitable[int]],
        parameters: dict[str, Any],
    ) -> int:
        total = 0
        while True:
            async with transaction() as connection:
                count = await delete(connection, **parameters)
            total += count
            if count < _CHUNK:
                return total

    def _tenant(self, tenant_id: UUID) -> Callable[[], AbstractAsyncContextManager[Connection]]:
        return lambda: self._patient(self._database.transaction(tenant_id))

    def _system(self) -> AbstractAsyncContextManager[Connection]:
        return self._patient(self._database.system_transaction())

    @asynccontextmanager
    async def _patient(self, transaction: AbstractAsyncContextManager[Connection]) -> AsyncGenerator[Connection]:
        try:
            async with transaction as connection:
                await self._sql.allow_long_statement(connection)
                yield connection
        except psycopg.Error as error:
            raise RetentionFailed(f"Postgres refused: {error}".strip()) from error


def _days(value: Any) -> int:
    return DEFAULT_RETENTION_DAYS if value is None else min(max(int(value), _MIN_DAYS), _MAX_DAYS)
