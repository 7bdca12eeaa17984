"""A sample pack's history in Postgres: imported in bulk, taken out again without a trace.

Imported rows are history that happened elsewhere: no outbox event is written for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entity
from kaireon_application.governance.audit_log import AuditAction
from kaireon_storage.postgres.dashboard_counts import hold_dashboard_counts
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Connection
    from kaireon_storage.postgres.entities import PostgresEntityWriter

_SQL_NOUN = "sample_history"


class PastContact(msgspec.Struct, frozen=True, kw_only=True):
    """One interaction that was recorded elsewhere; `id` is the same whenever the same row is imported."""

    id: UUID
    occurred_at: datetime
    customer_id: str
    offer_id: UUID
    creative_id: UUID
    channel_id: UUID
    placement_id: UUID | None
    outcome_key: str
    classification: str
    is_impression: bool
    conversion_value: float | None


# Parameter of the import -> field of a contact: one array per column, so that one statement stores thousands.
_PARAMETERS = {
    "ids": "id",
    "occurred_at": "occurred_at",
    "customer_ids": "customer_id",
    "offer_ids": "offer_id",
    "creative_ids": "creative_id",
    "channel_ids": "channel_id",
    "placement_ids": "placement_id",
    "outcome_keys": "outcome_key",
    "classifications": "classification",
    "are_impressions": "is_impression",
    "conversion_values": "conversion_value",
}


class HistoryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows were written or taken out."""

    interactions: int
    summaries: int
    customers: int


class SampleHistory:
    """The history of one pack in one tenant, over a connection that is inside a transaction."""

    def __init__(self, connection: Connection, tenant_id: UUID, pack: str) -> None:
        """Take a connection from `Database.transaction`."""
        self._connection = connection
        self._pack = {"tenant_id": tenant_id, "pack": pack}
        self._tenant_id = tenant_id
        self._sql: Any = queries(_SQL_NOUN)

    async def load(self, contacts: Iterable[PastContact]) -> HistoryCounts:
        """Import what is not there yet, with summaries and customers that agree with it."""
        past = list(contacts)
        columns = {parameter: [getattr(one, name) for one in past] for parameter, name in _PARAMETERS.items()}
        row = await self._sql.import_contacts(self._connection, **self._pack, **columns)
        return msgspec.convert(row, HistoryCounts)

    async def forget(self, customer_ids: Collection[str]) -> HistoryCounts:
        """Take out what was imported; what was recorded since stays, with its summaries and customers."""
        await hold_dashboard_counts(self._connection, self._tenant_id)
        await self._sql.uncount_contacts(self._connection, **self._pack)
        await self._sql.forget_empty_counts(self._connection, tenant_id=self._tenant_id)
        row = await self._sql.forget_contacts(self._connection, **self._pack)
        chosen = {"tenant_id": self._tenant_id, "customer_ids": list(customer_ids)}
        await self._sql.forget_empty_summaries(self._connection, **chosen)
        idle = [row["customer_id"] async for row in self._sql.forget_idle_customers(self._connection, **chosen)]
        await queries("customer_data").erase_sketches(self._connection, tenant_id=self._tenant_id, ids=idle)
        return msgspec.convert(row, HistoryCounts)


async def forget_entities(writer: PostgresEntityWriter, ids: Collection[UUID]) -> int:
    """Delete configured things for good, with their flow and model versions; return how many there were."""
    sql: Any = queries(_SQL_NOUN)
    chosen = {"tenant_id": writer.tenant_id, "ids": list(ids)}
    await sql.forget_flow_versions(writer.connection, **chosen)
    await sql.forget_model_versions(writer.connection, **chosen)
    gone = [Entity(**row) async for row in sql.forget_entities(writer.connection, **chosen)]
    await writer.note_deletion(AuditAction.DELETE, gone)
    return len(gone)


async def forget_deleted_entities(writer: PostgresEntityWriter, ids: Collection[UUID]) -> None:
    """Delete those of these things for good that were soft-deleted, so that their ids are free again."""
    sql: Any = queries(_SQL_NOUN)
    rows = sql.forget_deleted_entities(writer.connection, tenant_id=writer.tenant_id, ids=list(ids))
    await writer.note_deletion(AuditAction.DELETE, [Entity(**row) async for row in rows])
