"""Applied documents in Postgres."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Rollback
from psycopg.types.json import Jsonb

from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditEntry
from kaireon_application.governance.gitops import GitOpsDocument, GitOpsWriter
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntityWriter, WriterTurns
from kaireon_storage.postgres.queries import queries


class PostgresGitOpsWriter(PostgresEntityWriter):
    """Implements `GitOpsWriter` inside one transaction."""

    is_undone = False

    async def keep(self, documents: Sequence[GitOpsDocument]) -> None:
        """Keep what is applied now, instead of what was applied last."""
        sql: Any = queries("gitops")
        await sql.forget_documents(self.connection, tenant_id=self.tenant_id)
        kept = Jsonb(msgspec.to_builtins(documents))
        await sql.keep_documents(self.connection, tenant_id=self.tenant_id, documents=kept)

    async def kept(self) -> list[GitOpsDocument]:
        """Return what was applied last."""
        rows = queries("gitops").kept_documents(self.connection, tenant_id=self.tenant_id)
        return [GitOpsDocument(**row) async for row in rows]

    async def note_entries(self, entries: Sequence[AuditEntry]) -> None:
        """Write these to the audit log."""
        await self.audit.append(entries)

    async def undo(self) -> None:
        """Take back whatever was written in this transaction, when it ends."""
        self.is_undone = True


class PostgresGitOps:
    """Implements `GitOps`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._turns = WriterTurns()

    @asynccontextmanager
    async def writing(self, tenant_id: UUID, actor: Actor) -> AsyncGenerator[GitOpsWriter]:
        """Open a transaction in which this actor writes."""
        async with self._turns.of(tenant_id), self._database.transaction(tenant_id) as connection:
            writer = PostgresGitOpsWriter(connection, tenant_id, actor)
            await writer.begin()
            yield writer
            if writer.is_undone:
                raise Rollback

    async def tenants(self) -> list[UUID]:
        """Return the tenants to whom something was applied."""
        async with self._database.system_transaction() as connection:
            return [row["tenant_id"] async for row in queries("gitops").tenants_with_documents(connection)]
