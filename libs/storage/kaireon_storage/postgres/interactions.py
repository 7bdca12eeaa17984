"""Postgres as an interaction store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.customers.history import HistoryQuery
from kaireon_application.customers.interaction_store import (
    CustomerSummary,
    ExportPage,
    ExportWindow,
    InteractionRecord,
)
from kaireon_application.platform.cursor import decode_cursor, encode_cursor
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries

_COLUMNS = tuple(name for name in InteractionRecord.__struct_fields__ if name not in {"tenant_id", "retention_days"})


class _Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The key of the last record of a page."""

    tenant_id: UUID
    at: datetime
    id: UUID


class PostgresInteractions:
    """Implements `InteractionStore`: the system of record, and the store when there is no other."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("interactions")

    async def write(self, records: Sequence[InteractionRecord]) -> None:
        """Keep these records; how long is the tenant's retention, not the record's."""
        in_order = sorted(records, key=attrgetter("tenant_id", "occurred_at", "id"))
        for tenant_id, group in groupby(in_order, key=attrgetter("tenant_id")):
            mine = list(group)
            values: dict[str, list[Any]] = {name: [getattr(record, name) for record in mine] for name in _COLUMNS}
            values["details"] = [None if one is None else Jsonb(one) for one in values["details"]]
            async with self._database.transaction(tenant_id) as connection:
                await self._sql.write_interactions(connection, tenant_id=tenant_id, **values)

    async def page(self, tenant_id: UUID, customer_id: str, query: HistoryQuery) -> Sequence[InteractionRecord]:
        """Return the newest of a customer's interactions."""
        position = query.after
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.customer_page(
                connection,
                **_chosen(tenant_id, customer_id, query),
                after_at=position.at if position else None,
                after_id=position.id if position else None,
                limit=query.limit,
            )
            return [InteractionRecord(**row) async for row in rows]

    async def summary(self, tenant_id: UUID, customer_id: str, query: HistoryQuery) -> CustomerSummary:
        """Add up a customer's interactions."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.customer_summary(connection, **_chosen(tenant_id, customer_id, query))
        return CustomerSummary(**row)

    async def delete_customer(self, tenant_id: UUID, customer_id: str) -> int:
        """Delete a customer's interactions; summaries and decisions are other rows."""
        async with self._database.transaction(tenant_id) as connection:
            count: int = await self._sql.delete_customer_interactions(
                connection, tenant_id=tenant_id, customer_id=customer_id
            )
        return count

    async def export(self, window: ExportWindow, cursor: str | None, limit: int) -> ExportPage:
        """Return the next records by (tenant, instant, id)."""
        last = decode_cursor(cursor, _Exported)
        async with self._database.system_transaction() as connection:
            rows = self._sql.export_interactions(
                connection,
                tenant_id=window.tenant_id,
                since=window.since,
                until=window.until,
                after_tenant=last.tenant_id if last else None,
                after_at=last.at if last else None,
                after_id=last.id if last else None,
                limit=limit,
            )
            records = [InteractionRecord(**row) async for row in rows]
        return ExportPage(records=records, cursor=_cursor_after(records[-1]) if len(records) == limit else None)


def _cursor_after(record: InteractionRecord) -> str | None:
    return encode_cursor(_Exported(tenant_id=record.tenant_id, at=record.occurred_at, id=record.id))


def _chosen(tenant_id: UUID, customer_id: str, query: HistoryQuery) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "customer_id": customer_id,
        "offer_id": query.offer_id,
        "creative_id": query.creative_id,
        "recommendation_id": query.recommendation_id,
        "type": query.type,
        "since": query.since,
    }
