"""Planted structure as a tenant's own data: rows of a schema, interactions, creatives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from kaireon_application.catalog.channel import CHANNEL
from kaireon_application.catalog.creative import CREATIVE
from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.offer import OFFER
from kaireon_application.catalog.write_entity import create_entity
from kaireon_application.customers.schema import SCHEMA
from kaireon_application.customers.schema_table import table_of
from kaireon_application.customers.write_schema import create_schema
from kaireon_core.learning.contact_history import Happening
from kaireon_core.learning.creative_text import ShownCreative
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.sample_history import PastContact, SampleHistory
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows, PostgresSchemas

COLUMNS = ("customer_id", "age", "income", "tier", "owner")
FIELDS = [
    {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
    {"name": "age", "dataType": "integer"},
    {"name": "income", "dataType": "double"},
    {"name": "tier", "dataType": "varchar"},
    {"name": "owner", "dataType": "boolean"},
]
_AT_ONCE = 5_000


def caller(tenant_id: UUID) -> Caller:
    return Caller(tenant_id=tenant_id, is_admin=True, at=datetime.now(UTC))


async def plant_schema(
    database: Database, tenant_id: UUID, rows: list[dict[str, Any]], name: str = "people", **body: Any
) -> UUID:
    """Create a schema with these rows and return its id."""
    form = msgspec.convert({"key": name, "name": name, "fields": FIELDS, **body}, SCHEMA.create)
    schema = await create_schema(PostgresSchemas(database), caller(tenant_id), form)
    values = [[row[column] for column in COLUMNS] for row in rows]
    if rows:
        await PostgresSchemaRows(database).copy_rows(tenant_id, table_of(schema.body), COLUMNS, values)
    return schema.id


async def plant_history(
    database: Database,
    tenant_id: UUID,
    happenings: list[Happening],
    since: datetime,
    *,
    offer_id: UUID | None = None,
    channel_id: UUID | None = None,
) -> None:
    """Store what happened; an instant of 0 is `since`."""
    offer, channel, creative = offer_id or uuid4(), channel_id or uuid4(), uuid4()
    past = [
        PastContact(
            id=uuid4(),
            occurred_at=since + timedelta(milliseconds=one.at_ms),
            customer_id=one.customer_id,
            offer_id=offer,
            creative_id=creative,
            channel_id=channel,
            placement_id=None,
            outcome_key=one.outcome_key or "impression",
            classification=one.classification or "neutral",
            is_impression=one.is_contact,
            conversion_value=None,
        )
        for one in happenings
    ]
    await load_past(database, tenant_id, past)


async def load_past(database: Database, tenant_id: UUID, past: list[PastContact]) -> None:
    """Import contacts some thousands at a time."""
    async with database.transaction(tenant_id) as connection:
        await connection.execute("SET LOCAL statement_timeout = '120s'")
        history = SampleHistory(connection, tenant_id, f"planted-{uuid4()}")
        for start in range(0, len(past), _AT_ONCE):
            await history.load(past[start : start + _AT_ONCE])


async def plant_creatives(database: Database, tenant_id: UUID, creatives: list[ShownCreative]) -> None:
    """Create creatives that say this, and the impressions and clicks that they had, by one customer each."""
    entities, by = PostgresEntities(database), caller(tenant_id)

    async def create(kind: Any, **body: Any) -> UUID:
        return (await create_entity(entities, kind, by, msgspec.convert(body, kind.create))).id

    offer = await create(OFFER, name="Card", key="card", status="active")
    channel = await create(CHANNEL, name="Mail", key="mail", channelType="email", status="active")
    for one in creatives:
        creative = await create(
            CREATIVE,
            name=f"Creative {one.id}",
            offerId=str(offer),
            channelId=str(channel),
            status="active",
            content={"subject": one.text, "ctaUrl": "https://example.com/free"},
        )
        await _summarize(database, tenant_id, (offer, creative, channel), one)


async def _summarize(database: Database, tenant_id: UUID, place: tuple[UUID, UUID, UUID], shown: ShownCreative) -> None:
    async with database.transaction(tenant_id) as connection:
        await connection.execute(
            "INSERT INTO interaction_summaries (tenant_id, customer_id, offer_id, creative_id, channel_id,"
            " period_type, period_key, impressions, positive)"
            " VALUES (%s, 'everybody', %s, %s, %s, 'alltime', 'alltime', %s, %s)",
            (tenant_id, *place, shown.impressions, shown.positives),
        )
