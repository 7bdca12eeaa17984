"""The audit log in Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

import msgspec
from psycopg.errors import UniqueViolation
from psycopg.types.json import Json

from kaireon_application.errors import Conflict
from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditEntry, AuditQuery, AuditRow, ChainHead, chained
from kaireon_core.governance.audit_chain import GENESIS, canonical
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.queries import queries

_SQL_NOUN = "audit_logs"


class AuditAppender:
    """Continues one tenant's chain inside a transaction; what is noted stands or falls with it."""

    def __init__(self, connection: Connection, tenant_id: UUID, actor: Actor) -> None:
        """Take a connection that is inside a transaction, and who acts in it."""
        self._connection = connection
        self._tenant_id = tenant_id
        self._actor = actor
        self._sql: Any = queries(_SQL_NOUN)

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Write the entries at the end of the chain, which from now on is locked until the transaction ends.

        Raises `Conflict` when somebody else has put a row in their place.
        """
        if not entries:
            return
        locked = await self._sql.lock_head(self._connection, tenant_id=self._tenant_id, genesis=GENESIS)
        head = ChainHead(sequence=locked["sequence"], integrity_hash=locked["integrity_hash"])
        rows = chained(entries, self._tenant_id, self._actor, head, locked["logged_at"].astimezone(UTC))
        try:
            await self._sql.append_rows(
                self._connection,
                tenant_id=self._tenant_id,
                sequence=rows[-1].sequence,
                integrity_hash=rows[-1].integrity_hash,
                rows=Json(msgspec.to_builtins(rows), dumps=canonical),
            )
        except UniqueViolation:
            raise Conflict("the audit log has a row that nobody here wrote; see GET /audit-logs/verify") from None


class PostgresAuditLogs:
    """Implements `AuditLogs`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries(_SQL_NOUN)

    async def page(self, tenant_id: UUID, query: AuditQuery) -> list[AuditRow]:
        """Return the rows of a query, newest first."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.page_rows(
                connection,
                tenant_id=tenant_id,
                before=query.before,
                limit=query.limit,
                offset=query.offset,
                **_filters(query),
            )
            return [_row(row) async for row in rows]

    async def total(self, tenant_id: UUID, query: AuditQuery) -> int:
        """Return how many rows a query finds on all pages."""
        async with self._database.transaction(tenant_id) as connection:
            counted = await self._sql.count_rows(connection, tenant_id=tenant_id, **_filters(query))
        return counted["total"]

    async def head(self, tenant_id: UUID) -> ChainHead:
        """Return where the chain ends, as its last writer noted it."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.head(connection, tenant_id=tenant_id)
        return ChainHead(sequence=0, integrity_hash=GENESIS) if row is None else ChainHead(**row)

    async def span(self, tenant_id: UUID, after: int, through: int, limit: int) -> list[AuditRow]:
        """Return rows in the order of the chain."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.span(connection, tenant_id=tenant_id, after=after, through=through, limit=limit)
            return [_row(row) async for row in rows]

    async def first_misplaced(self, tenant_id: UUID) -> UUID | None:
        """Return the first row that does not follow the one before it, or stands behind the chain's end; or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.first_misplaced(connection, tenant_id=tenant_id)
        return None if row is None else row["id"]


def _filters(query: AuditQuery) -> dict[str, Any]:
    names = ("entity_type", "entity_id", "action", "start_at", "end_at")
    return {name: getattr(query, name) for name in names}


def _row(row: Mapping[str, Any]) -> AuditRow:
    return AuditRow(**{**row, "timestamp": row["timestamp"].astimezone(UTC)})
