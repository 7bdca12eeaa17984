"""Imported history adds up, is imported once, and leaves no trace when it is taken out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import UUID, uuid5

from kaireon_storage.postgres.sample_history import HistoryCounts, PastContact, SampleHistory

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Connection, Database
    from kaireon_testkit.platform.tenant import Tenant

_IDS = UUID(int=21)
_OFFER, _CREATIVE, _CHANNEL = UUID(int=1), UUID(int=2), UUID(int=3)
_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def _contact(name: str, at: datetime, customer_id: str, *, value: float | None = None) -> PastContact:
    is_impression = value is None
    return PastContact(
        id=uuid5(_IDS, name),
        occurred_at=at,
        customer_id=customer_id,
        offer_id=_OFFER,
        creative_id=_CREATIVE,
        channel_id=_CHANNEL,
        placement_id=None,
        outcome_key="impression" if is_impression else "convert",
        classification="neutral" if is_impression else "positive",
        is_impression=is_impression,
        conversion_value=value,
    )


_HISTORY = (
    _contact("a", _NOON, "C1"),
    _contact("b", _NOON + timedelta(days=1), "C1"),
    _contact("c", _NOON + timedelta(days=1, hours=1), "C1", value=2.5),
    _contact("d", _NOON, "C2"),
)


async def _rows(connection: Connection, statement: LiteralString) -> list[dict[str, Any]]:
    return await (await connection.execute(statement)).fetchall()


async def _load(database: Database, tenant: Tenant) -> HistoryCounts:
    async with database.transaction(tenant.tenant_id) as connection:
        return await SampleHistory(connection, tenant.tenant_id, "pack").load(_HISTORY)


async def test_history_adds_up_in_summaries_and_customers(database: Database, tenant: Tenant) -> None:
    assert await _load(database, tenant) == HistoryCounts(interactions=4, summaries=5, customers=2)
    async with database.transaction(tenant.tenant_id) as connection:
        summaries = await _rows(
            connection,
            "SELECT period_key, impressions, positive, converts, total_value, last_contact_at, last_outcome_key "
            "FROM interaction_summaries WHERE customer_id = 'C1' ORDER BY period_key",
        )
        customers = await _rows(connection, "SELECT customer_id, version, sequence FROM customers ORDER BY 1")
        events = await _rows(connection, "SELECT id FROM outbox_events")
    assert [tuple(row.values()) for row in summaries] == [
        ("2026-01-05", 1, 0, 0, 0.0, _NOON, "impression"),
        ("2026-01-06", 1, 1, 1, 2.5, _NOON + timedelta(days=1), "convert"),
        ("alltime", 2, 1, 1, 2.5, _NOON + timedelta(days=1), "convert"),
    ]
    assert [tuple(row.values()) for row in customers] == [("C1", 1, 3), ("C2", 1, 1)]
    assert events == []


async def test_history_is_imported_once(database: Database, tenant: Tenant) -> None:
    await _load(database, tenant)
    assert await _load(database, tenant) == HistoryCounts(interactions=0, summaries=0, customers=0)


async def test_forgotten_history_leaves_what_was_recorded_since(database: Database, tenant: Tenant) -> None:
    await _load(database, tenant)
    async with database.transaction(tenant.tenant_id) as connection:
        own = SampleHistory(connection, tenant.tenant_id, "somebody")
        await own.load([_contact("mine", _NOON + timedelta(hours=1), "C1")])
    async with database.transaction(tenant.tenant_id) as connection:
        counts = await SampleHistory(connection, tenant.tenant_id, "pack").forget(["C1", "C2"])
        left = await _rows(connection, "SELECT customer_id FROM interactions")
        summaries = await _rows(connection, "SELECT customer_id, period_key, impressions FROM interaction_summaries")
        customers = await _rows(connection, "SELECT customer_id FROM customers")
    assert counts.interactions == 4
    assert left == [{"customer_id": "C1"}]
    assert sorted(tuple(row.values()) for row in summaries) == [("C1", "2026-01-05", 1), ("C1", "alltime", 1)]
    assert customers == [{"customer_id": "C1"}]
