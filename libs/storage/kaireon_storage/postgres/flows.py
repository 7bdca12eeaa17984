"""Published versions of flows in Postgres."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.catalog.entities import Entity
from kaireon_application.decisioning.publish_flow import FlowWriter, LiveVersion, PublishedVersion
from kaireon_application.errors import ApprovalRequired
from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction
from kaireon_application.platform.tenant_settings import publishing_needs_approval
from kaireon_storage.postgres.approval_rows import ApprovalRows
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.entities import PostgresEntityWriter
from kaireon_storage.postgres.queries import queries


class PostgresFlowWriter(PostgresEntityWriter):
    """Implements `FlowWriter` inside one transaction."""

    def __init__(self, connection: Connection, tenant_id: UUID, actor: Actor) -> None:
        """Take a connection that is inside a transaction of the tenant, and who acts in it."""
        super().__init__(connection, tenant_id, actor)
        self._flows: Any = queries("flows")
        self.requests = ApprovalRows(connection, tenant_id, self.audit)

    async def take_publish_approval(self, flow: Entity, *, as_it_is: bool) -> None:
        """Use up one approval of publishing the flow in its row version, where the tenant demands approvals."""
        if not publishing_needs_approval(await self.requests.stored_settings()):
            return
        found = await self.requests.of_publication(flow) if as_it_is else None
        if found is None:
            raise ApprovalRequired
        await self.requests.change(found, msgspec.structs.replace(found, used_at=datetime.now(UTC)), AuditAction.USE)

    async def add_version(self, flow_id: UUID, config: dict[str, Any], notes: str | None) -> PublishedVersion:
        """Store the next version of a flow."""
        row = await self._flows.add_version(
            self.connection, tenant_id=self.tenant_id, flow_id=flow_id, config=Jsonb(config), notes=notes
        )
        return PublishedVersion(**row)

    async def live_versions(self) -> list[LiveVersion]:
        """Return the newest version of every published flow."""
        rows = self._flows.live_versions(self.connection, tenant_id=self.tenant_id)
        return [LiveVersion(**row) async for row in rows]


class PostgresFlows:
    """Implements `FlowVersions`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("flows")

    @asynccontextmanager
    async def writing(self, tenant_id: UUID, actor: Actor) -> AsyncGenerator[FlowWriter]:
        """Open a transaction in which this actor writes, and which raises the tenant's `config_version`."""
        async with self._database.transaction(tenant_id) as connection:
            writer = PostgresFlowWriter(connection, tenant_id, actor)
            await writer.begin()
            yield writer

    async def list(self, tenant_id: UUID, flow_id: UUID) -> list[PublishedVersion]:
        """Return every version of a flow, newest first."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.list_versions(connection, tenant_id=tenant_id, flow_id=flow_id)
            return [PublishedVersion(**row) async for row in rows]
