"""Retention in Postgres: partitions come and go by month, rows go in chunks of one transaction each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosql
import msgspec
import psycopg

from kaireon_application.errors import KaireonError
from kaireon_application.platform.cleanup import DEFAULT_RETENTION_DAYS, Counts, TenantRetention
from kaireon_application.platform.data_class import DataClass, StoredRetention, kept_days

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from kaireon_storage.postgres.database import Connection, Database

_CHUNK = 5_000
_MIN_DAYS = 1
_MAX_DAYS = 3650


_PARENTS = {DataClass.INTERACTIONS: "interactions", DataClass.DECISIONS: "decision_traces"}
# The statements that delete a class, by what they count.
_DELETIONS: dict[DataClass, dict[str, str]] = {
    DataClass.INTERACTIONS: {
        "interactions": "delete_interactions",
        "journeyEnrollments": "delete_enrollments",
        "triggerFirings": "delete_firings",
        "journeyJobs": "delete_journey_jobs",
    },
    DataClass.DECISIONS: {"decisionTraces": "delete_traces", "erasedDecisions": "delete_erased_decisions"},
    DataClass.SUMMARIES: {
        "dailySummaries": "delete_daily_summaries",
        "dashboardCounts": "delete_dashboard_counts",
        "dashboardSketches": "delete_dashboard_sketches",
    },
    DataClass.RUNS: {"batchRuns": "delete_runs"},
    DataClass.OFF_POLICY: {"decisionLogs": "delete_decision_logs", "evaluations": "delete_evaluations"},
    DataClass.MODELS: {
        "learnedSums": "delete_learned_sums",
        "learnedWeights": "delete_learned_weights",
        "graphs": "delete_graphs",
    },
    DataClass.DSAR: {"dsarExports": "delete_exports"},
}
_CHUNKED = frozenset(
    {
        "delete_interactions",
        "delete_enrollments",
        "delete_firings",
        "delete_journey_jobs",
        "delete_traces",
        "delete_daily_summaries",
    }
)


class RetentionFailed(KaireonError):
    """Postgres refused a step of the clean-up."""


class PostgresRetention:
    """`Retention` over the tables of the schema."""

    def __init__(self, database: Database, *, has_publisher: bool = True) -> None:
        """Without a publisher, events that nobody has relayed go like those that were sent."""
        self._database = database
        self._has_publisher = has_publisher
        self._sql: Any = aiosql.from_path(
            Path(__file__).parent / "sql" / "retention.sql", "apsycopg", mandatory_parameters=False
        )

    async def tenants(self) -> list[TenantRetention]:
        """Read every tenant's `retentionDays`; one that is missing or no number is the default."""
        async with self._system() as connection:
            rows = [row async for row in self._sql.read_tenant_retentions(connection, tenant_id=None)]
        return [TenantRetention(tenant_id=row["tenant_id"], days=days_by_class(row)) for row in rows]

    async def ensure_partitions(self, first_at: datetime, last_at: datetime) -> int:
        """Create what is missing; rows that had come too early move in from the default partition."""
        async with self._system() as connection:
            row = await self._sql.ensure_partitions(connection, first_at=first_at, last_at=last_at)
        return row["created"]

    async def drop_partitions(self, data_class: DataClass, before: datetime) -> int:
        """Drop whole months."""
        async with self._system() as connection:
            row = await self._sql.drop_partitions(connection, parent=_PARENTS[data_class], before=before)
        return row["dropped"]

    async def delete_class(self, tenant_id: UUID, data_class: DataClass, before: datetime) -> Counts:
        """Delete as this tenant: history in chunks, the rest in one statement each."""
        if data_class is DataClass.AUDIT:
            async with self._system() as connection:
                row = await self._sql.trim_audit(connection, tenant_id=tenant_id, before=before)
            return {"auditLogs": row["deleted"]}
        own = {"tenant_id": tenant_id, "before": before, "before_day": before.date().isoformat(), "chunk": _CHUNK}
        counts: Counts = {}
        for name, statement in _DELETIONS[data_class].items():
            delete = getattr(self._sql, statement)
            is_chunked = statement in _CHUNKED
            counts[name] = await (
                self._chunks(self._tenant(tenant_id), delete, own)
                if is_chunked
                else self._at_once(tenant_id, delete, before)
            )
        return counts

    async def delete_snapshots(self, tenant_id: UUID, before: datetime) -> Counts:
        """Delete what no trace refers to."""
        return {"snapshots": await self._at_once(tenant_id, self._sql.delete_snapshots, before)}

    async def _at_once(self, tenant_id: UUID, delete: Callable[..., Awaitable[int]], before: datetime) -> int:
        async with self._tenant(tenant_id)() as connection:
            return await delete(connection, tenant_id=tenant_id, before=before)

    async def delete_expired(self, now: datetime, short_lived_before: datetime) -> Counts:
        """Delete in chunks, over all tenants."""
        ended = {"before": now, "chunk": _CHUNK}
        old = {"before": short_lived_before, "chunk": _CHUNK}
        unsent = 0 if self._has_publisher else await self._chunks(self._system, self._sql.delete_unsent_events, old)
        return {
            "suppressions": await self._chunks(self._system, self._sql.delete_suppressions, ended),
            "variantAssignments": await self._chunks(self._system, self._sql.delete_assignments, ended),
            "triggerCooldowns": await self._chunks(self._system, self._sql.delete_cooldowns, ended),
            "tallies": await self._chunks(self._system, self._sql.delete_tallies, ended),
            "idempotencyKeys": await self._chunks(self._system, self._sql.delete_idempotency_keys, old),
            "sentEvents": await self._chunks(self._system, self._sql.delete_sent_events, old),
            "unsentEvents": unsent,
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


def days_by_class(row: Mapping[str, Any]) -> dict[DataClass, int | None]:
    """Return for how many days a tenant keeps each class, from its `retentionDays` and what it has set by class."""
    stored = [msgspec.convert(config, StoredRetention) for config in row["configs"]]
    return kept_days(_days(row["days"]), {one.data_class: one for one in stored})


def _days(value: Any) -> int:
    return DEFAULT_RETENTION_DAYS if value is None else min(max(int(value), _MIN_DAYS), _MAX_DAYS)
