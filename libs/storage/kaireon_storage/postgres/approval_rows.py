"""Rows of approvals, read and written inside a transaction of their tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.catalog.entities import Entity
from kaireon_application.governance.approval import Approval
from kaireon_application.governance.audit_log import AuditAction, Write, written
from kaireon_storage.postgres.audit_logs import AuditAppender
from kaireon_storage.postgres.database import Connection
from kaireon_storage.postgres.queries import queries

_KIND = "approval"
_CHANGING = ("entity_id", "status", "expires_at", "decided_at", "used_at")


class ApprovalRows:
    """The requests of one tenant over a connection that is inside a transaction."""

    def __init__(self, connection: Connection, tenant_id: UUID, audit: AuditAppender) -> None:
        """Take what writes the audit log in the same transaction."""
        self._connection = connection
        self._tenant_id = tenant_id
        self._audit = audit
        self._sql: Any = queries("approvals")

    async def find(self, id: UUID) -> Approval | None:
        """Return a request."""
        row = await self._sql.get_approval(self._connection, tenant_id=self._tenant_id, id=id)
        return None if row is None else approval_of(row)

    async def of_publication(self, flow: Entity) -> Approval | None:
        """Return an approval of publishing this flow in its row version that was not used yet."""
        row = await self._sql.publish_approval(
            self._connection, tenant_id=self._tenant_id, flow_id=str(flow.id), row_version=flow.row_version
        )
        return None if row is None else approval_of(row)

    async def add(self, approval: Approval) -> None:
        """Store a new request and note it in the audit log."""
        columns = {name: getattr(approval, name) for name in approval.__struct_fields__}
        await self._sql.insert_approval(
            self._connection,
            tenant_id=self._tenant_id,
            **{**columns, "payload": Jsonb(approval.payload), "stages": _stages(approval)},
        )
        await self._note(AuditAction.CREATE, None, approval)

    async def change(self, before: Approval, after: Approval, action: AuditAction) -> None:
        """Store how far a request is now and note it in the audit log as this."""
        columns = {name: getattr(after, name) for name in _CHANGING}
        await self._sql.update_approval(
            self._connection, tenant_id=self._tenant_id, id=after.id, stages=_stages(after), **columns
        )
        await self._note(action, before, after)

    async def stored_settings(self) -> dict[str, Any]:
        """Return what the tenant has set."""
        return (await self._sql.stored_settings(self._connection, tenant_id=self._tenant_id))["settings"]

    async def _note(self, action: AuditAction, before: Approval | None, after: Approval) -> None:
        was, is_now = (None if one is None else msgspec.to_builtins(one) for one in (before, after))
        write = Write(id=str(after.id), version=None, before=was, after=is_now, name=after.entity_name)
        await self._audit.append(written(action, _KIND, write))


def approval_of(row: Mapping[str, Any]) -> Approval:
    """Return a row as a request."""
    wire = {field.encode_name: row[field.name] for field in msgspec.structs.fields(Approval)}
    return msgspec.convert(wire, Approval)


def _stages(approval: Approval) -> Jsonb:
    return Jsonb(msgspec.to_builtins(approval.stages))
