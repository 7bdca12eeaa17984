"""Approvals in Postgres."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.governance.actor import SYSTEM, Actor
from kaireon_application.governance.approval import Approval, ApprovalPosition, ApprovalStatus, ApprovalWriter
from kaireon_application.governance.audit_log import AuditAction
from kaireon_storage.postgres.approval_rows import ApprovalRows, approval_of
from kaireon_storage.postgres.audit_logs import AuditAppender
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntityWriter, WriterTurns
from kaireon_storage.postgres.flows import PostgresFlowWriter
from kaireon_storage.postgres.queries import queries


class PostgresApprovalWriter(PostgresFlowWriter):
    """Implements `ApprovalWriter` inside one transaction."""

    async def approval(self, id: UUID) -> Approval | None:
        """Return a request."""
        return await self.requests.find(id)

    async def add_approval(self, approval: Approval) -> None:
        """Store a new request and note it in the audit log."""
        await self.requests.add(approval)

    async def change_approval(self, before: Approval, after: Approval, action: AuditAction) -> None:
        """Store how far a request is now and note it in the audit log as this."""
        await self.requests.change(before, after, action)

    async def stored_settings(self) -> dict[str, Any]:
        """Return what the tenant has set."""
        return await self.requests.stored_settings()


class PostgresApprovals:
    """Implements `Approvals`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._turns = WriterTurns()
        self._sql: Any = queries("approvals")

    @asynccontextmanager
    async def writing(self, tenant_id: UUID, actor: Actor) -> AsyncGenerator[ApprovalWriter]:
        """Open a transaction in which this actor writes."""
        async with self._turns.of(tenant_id), self._database.transaction(tenant_id) as connection:
            writer = PostgresApprovalWriter(connection, tenant_id, actor)
            await writer.begin()
            yield writer

    async def get(self, tenant_id: UUID, id: UUID) -> Approval | None:
        """Return a request."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_approval(connection, tenant_id=tenant_id, id=id)
        return None if row is None else approval_of(row)

    async def page(
        self, tenant_id: UUID, status: ApprovalStatus, after: ApprovalPosition | None, limit: int
    ) -> tuple[Sequence[Approval], int]:
        """Return requests of a status, newest first, and how many there are in all."""
        chosen = {"tenant_id": tenant_id, "status": status.value}
        position = {"after_at": None if after is None else after.at, "after_id": None if after is None else after.id}
        async with self._database.transaction(tenant_id) as connection:
            rows = [
                approval_of(row)
                async for row in self._sql.page_approvals(connection, **chosen, **position, limit=limit)
            ]
            counted = await self._sql.count_approvals(connection, **chosen)
        return rows, counted["total"]

    async def expire(self, now: datetime) -> int:
        """Close what was neither decided nor published in time, tenant by tenant."""
        async with self._database.system_transaction() as connection:
            tenants = [row["tenant_id"] async for row in self._sql.tenants_with_due_approvals(connection, now=now)]
        return sum([await self._expire(tenant_id, now) for tenant_id in tenants])

    async def _expire(self, tenant_id: UUID, now: datetime) -> int:
        async with self._database.transaction(tenant_id) as connection:
            # Behind the tenant's writers, so that nobody decides a request that is just being closed.
            await PostgresEntityWriter(connection, tenant_id, SYSTEM).begin()
            rows = ApprovalRows(connection, tenant_id, AuditAppender(connection, tenant_id, SYSTEM))
            due = [approval_of(row) async for row in self._sql.due_approvals(connection, tenant_id=tenant_id, now=now)]
            for one in due:
                expired = msgspec.structs.replace(one, status=ApprovalStatus.EXPIRED)
                await rows.change(one, expired, AuditAction.EXPIRE)
        return len(due)
