"""Reading a tenant's configuration: everything at one instant, nothing of anybody else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
import pytest

from kaireon_application.catalog.delete_entity import delete_entity
from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.offer import OFFER
from kaireon_application.catalog.write_entity import create_entity
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.decisioning.publish_flow import publish_flow
from kaireon_application.errors import NotFound
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.postgres.configuration import PostgresConfiguration
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.flows import PostgresFlows
from kaireon_storage.postgres.graphs import PostgresGraphs
from kaireon_testkit.platform.tenant import Tenant, create_tenant

if TYPE_CHECKING:
    from kaireon_application.catalog.entities import Entity
    from kaireon_application.catalog.kind import EntityKind
    from kaireon_storage.postgres.database import Database

FLOW = {"version": 2, "nodes": [{"id": "a", "type": "inventory"}, {"id": "b", "type": "response"}]}


@pytest.fixture
def configuration(database: Database) -> PostgresConfiguration:
    return PostgresConfiguration(database, TreesLoader(), PostgresGraphs(database))


def caller(tenant: Tenant) -> Caller:
    return Caller(tenant_id=tenant.tenant_id, is_admin=True, at=datetime.now(UTC))


async def create(database: Database, tenant: Tenant, kind: EntityKind, **body: Any) -> Entity:
    form = msgspec.convert(body, kind.create)
    return await create_entity(PostgresEntities(database), kind, caller(tenant), form)


async def test_living_things_of_the_tenant_are_read_and_each_write_raises_the_version(
    configuration: PostgresConfiguration, database: Database, tenant: Tenant
) -> None:
    other = await create_tenant(database, "globex")
    before = await configuration.load(str(tenant.tenant_id))
    await create(database, tenant, OFFER, name="Gold", key="gold")
    await create(database, tenant, OFFER, name="Gone", key="gone")
    await create(database, other, OFFER, name="Theirs", key="theirs")
    await delete_entity(PostgresEntities(database), OFFER, caller(tenant), "gone")

    after = await configuration.load(str(tenant.tenant_id))

    assert [offer.key for offer in after.catalogue.offers] == ["gold"]
    assert before.catalogue.offers == ()
    assert after.config_version == before.config_version + 3
    ids = [str(tenant.tenant_id), str(other.tenant_id), str(uuid4())]
    versions = await configuration.versions(ids)
    assert versions == {ids[0]: after.config_version, ids[1]: before.config_version + 1}
    assert {outcome.key for outcome in after.outcome_types} >= {"impression", "click", "convert"}


async def test_a_flow_is_read_in_its_newest_published_version_while_it_is_active(
    configuration: PostgresConfiguration, database: Database, tenant: Tenant
) -> None:
    flows = PostgresFlows(database)
    flow = await create(database, tenant, DECISION_FLOW, name="Mine", key="mine", draftConfig=FLOW)
    assert (await configuration.load(str(tenant.tenant_id))).flows == ()

    for _ in range(2):
        await publish_flow(flows, caller(tenant), "mine", None, None)
    (published,) = (await configuration.load(str(tenant.tenant_id))).flows

    assert (published.id, published.version, published.is_default) == (str(flow.id), 2, True)
    assert [node.type for node in published.flow.nodes] == ["inventory", "response"]
    assert [version.version for version in await flows.list(tenant.tenant_id, flow.id)] == [2, 1]


async def test_an_unknown_tenant_has_no_configuration(configuration: PostgresConfiguration) -> None:
    with pytest.raises(NotFound):
        await configuration.load(str(UUID(int=1)))


async def test_content_is_stored_once(configuration: PostgresConfiguration, database: Database, tenant: Tenant) -> None:
    for content in (b"first", b"second"):
        await configuration.store(str(tenant.tenant_id), b"\x00hash", "snapshot", content)

    async with database.transaction(tenant.tenant_id) as connection:
        cursor = await connection.execute("SELECT hash, content FROM snapshots")
        assert await cursor.fetchall() == [{"hash": b"\x00hash", "content": b"first"}]
