"""The clean-up of one tenant in Postgres."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditEntry
from kaireon_application.platform.clean_tenant import TenantCleaner
from kaireon_application.platform.data_class import DataClass
from kaireon_storage.postgres.audit_logs import AuditAppender
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.queries import queries
from kaireon_storage.postgres.retention import days_by_class

_MOST_ROWS = 50_000


class PostgresTenantCleaner:
    """Implements `TenantCleaner`. Only the system role may cut the audit log, so every statement names the tenant."""

    def __init__(self, connection: Connection, tenant_id: UUID, actor: Actor) -> None:
        """Take a connection that is inside a transaction of the system role, and who acts in it."""
        self._connection = connection
        self._tenant_id = tenant_id
        self._audit = AuditAppender(connection, tenant_id, actor)
        self._sql: Any = queries("retention")

    async def kept_days(self) -> dict[DataClass, int | None]:
        """Return for how many days each class is kept."""
        found = self._sql.read_tenant_retentions(self._connection, tenant_id=self._tenant_id)
        (row,) = [row async for row in found]
        return days_by_class(row)

    async def delete_assignments(self, before: datetime) -> int:
        """Delete variant assignments that ended before then."""
        return await self._sql.delete_tenant_assignments(
            self._connection, tenant_id=self._tenant_id, before=before, chunk=_MOST_ROWS
        )

    async def trim_audit(self, before: datetime) -> int:
        """Cut off the beginning of the audit log."""
        row = await self._sql.trim_audit(self._connection, tenant_id=self._tenant_id, before=before)
        return row["deleted"]

    async def note(self, entry: AuditEntry) -> None:
        """Write this to the audit log."""
        await self._audit.append([entry])


class PostgresTenantCleaners:
    """Implements `TenantCleaners`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database

    @asynccontextmanager
    async def cleaning(self, tenant_id: UUID, actor: Actor) -> AsyncGenerator[TenantCleaner]:
        """Open a transaction in which this actor cleans up."""
        async with self._database.system_transaction() as connection:
            yield PostgresTenantCleaner(connection, tenant_id, actor)
