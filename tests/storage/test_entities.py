"""Configured things in Postgres: versions, config_version, tenants, order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from kaireon_application.catalog.entities import EntityDraft, ListOrder, ListPosition, ListQuery
from kaireon_application.errors import Conflict
from kaireon_application.governance.actor import SYSTEM
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_testkit.platform.tenant import Tenant, create_tenant

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database


@pytest.fixture
def entities(database: Database) -> PostgresEntities:
    return PostgresEntities(database)


def draft(key: str = "gold", status: str = "active", **body: Any) -> EntityDraft:
    return EntityDraft(id=uuid4(), key=key, name=key.title(), status=status, body=body)


async def config_version(database: Database, tenant_id: UUID) -> int:
    async with database.transaction(tenant_id) as connection:
        row = await (await connection.execute("SELECT config_version FROM tenants")).fetchone()
        assert row is not None
        return row["config_version"]


async def test_every_writing_transaction_raises_the_config_version_once(
    database: Database, entities: PostgresEntities, tenant: Tenant
) -> None:
    before = await config_version(database, tenant.tenant_id)
    other = await create_tenant(database, "globex")
    others = await config_version(database, other.tenant_id)

    async with entities.writing(tenant.tenant_id, SYSTEM) as writer:
        stored = await writer.insert("offer", [draft("gold"), draft("iron")])
        await writer.update(stored[0])
        await writer.delete("offer", [stored[1].id])

    assert await config_version(database, tenant.tenant_id) == before + 1
    assert await config_version(database, other.tenant_id) == others


async def test_a_failed_transaction_leaves_rows_and_config_version_alone(
    database: Database, entities: PostgresEntities, tenant: Tenant
) -> None:
    before = await config_version(database, tenant.tenant_id)

    async def write() -> None:
        async with entities.writing(tenant.tenant_id, SYSTEM) as writer:
            await writer.insert("offer", [draft("iron")])
            await writer.insert("offer", [draft("gold"), draft("gold")])

    with pytest.raises(Conflict):
        await write()

    assert await config_version(database, tenant.tenant_id) == before
    async with entities.reading(tenant.tenant_id) as reader:
        assert await reader.find("offer", ["iron", "gold"]) == {}


async def test_an_update_over_a_version_that_is_gone_is_a_conflict(entities: PostgresEntities, tenant: Tenant) -> None:
    async with entities.writing(tenant.tenant_id, SYSTEM) as writer:
        read = (await writer.insert("offer", [draft()]))[0]
        assert (await writer.update(read)).row_version == 2

    async with entities.writing(tenant.tenant_id, SYSTEM) as writer:
        with pytest.raises(Conflict):
            await writer.update(read)


async def test_things_are_found_by_id_and_key_in_their_kind_and_tenant_only(
    database: Database, entities: PostgresEntities, tenant: Tenant
) -> None:
    other = await create_tenant(database, "globex")
    async with entities.writing(tenant.tenant_id, SYSTEM) as writer:
        gold = (await writer.insert("offer", [draft()]))[0]
    id_text = str(gold.id)

    async with entities.reading(tenant.tenant_id) as reader:
        assert await reader.find("offer", [id_text, id_text.upper(), "gold", "zinc", str(uuid4())]) == {
            id_text: gold,
            id_text.upper(): gold,
            "gold": gold,
        }
        assert await reader.find("channel", [id_text, "gold"]) == {}
    async with entities.reading(other.tenant_id) as reader:
        assert await reader.find("offer", [id_text, "gold"]) == {}
    async with entities.writing(other.tenant_id, SYSTEM) as writer:
        await writer.delete("offer", [gold.id])
        assert await writer.children("offer", "categoryId", [gold.id]) == []
        with pytest.raises(Conflict):
            await writer.update(gold)
    async with entities.reading(tenant.tenant_id) as reader:
        assert (await reader.find("offer", ["gold"]))["gold"] == gold


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (ListOrder.NEWEST, ["d", "c", "b", "a"]),
        (ListOrder.ORDINAL, ["b", "d", "a", "c"]),
        (ListOrder.PRIORITY, ["c", "a", "d", "b"]),
        (ListOrder.STATUS, ["c", "a", "d", "b"]),
    ],
)
async def test_each_order_pages_without_gaps(
    entities: PostgresEntities, tenant: Tenant, order: ListOrder, expected: list[str]
) -> None:
    rows = [
        draft("a", status="active", ordinal=3, priority=70),
        draft("b", status="archived", ordinal=1, priority=5),
        draft("c", status="active", ordinal=9, priority=90.5),
        draft("d", status="draft", ordinal=2, priority=70 - 1),
    ]
    for row in rows:
        async with entities.writing(tenant.tenant_id, SYSTEM) as writer:
            await writer.insert("offer", [row])
    seen: list[str] = []
    after: ListPosition | None = None

    async with entities.reading(tenant.tenant_id) as reader:
        for _ in rows:
            page = await reader.page("offer", ListQuery(limit=1, order=order, after=after))
            seen += [entity.key for entity in page.entities]
            after = page.next_position
            assert page.total == len(rows)

    assert seen == expected
    assert after is None


async def test_taken_keys_are_the_stem_and_its_numbers(entities: PostgresEntities, tenant: Tenant) -> None:
    async with entities.writing(tenant.tenant_id, SYSTEM) as writer:
        await writer.insert("offer", [draft(key) for key in ("gold", "gold-2", "gold_3", "golden", "old-7")])

        assert await writer.taken_keys("offer", ["gold", "old-7"]) == {"gold", "gold-2", "gold_3", "old-7"}


async def test_instants_are_aware_and_deletion_is_soft(entities: PostgresEntities, tenant: Tenant) -> None:
    async with entities.writing(tenant.tenant_id, SYSTEM) as writer:
        stored = (await writer.insert("offer", [draft()]))[0]
        await writer.delete("offer", [stored.id])
        page = await writer.page("offer", ListQuery(limit=5, include_deleted=True))

    assert stored.created_at.tzinfo is not None
    assert abs(datetime.now(UTC) - stored.created_at).days == 0
    assert [(entity.id, entity.deleted_at is not None, entity.row_version) for entity in page.entities] == [
        (stored.id, True, 2)
    ]
