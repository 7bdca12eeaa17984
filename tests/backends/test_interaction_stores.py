"""The API and the outbox publisher with an interaction store beside Postgres, on real servers."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from kaireon_api.app import Api, build_app, opened
from kaireon_application.customers.interaction_store import ExportWindow, InteractionRecord
from kaireon_runtime.store_settings import CqlStore, DynamoDbStore
from kaireon_storage.interactions.partitioned import PartitionedStore
from kaireon_storage.postgres.interactions import PostgresInteractions
from kaireon_storage.postgres.store_marks import PostgresStoreMarks
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.conftest import api, eventually, settings, shop
from tests.api.gate import Gate
from tests.api.test_history import WRONG, history, pages
from tests.outbox_publisher.conftest import start_publisher
from tests.storage.interactions.conftest import (
    BACKENDS,
    cassandra_port,
    cassandra_store,
    dynamodb_store,
    dynamodb_url,
    table_of,
)
from tests.storage.interactions.conftest import (
    opened as opened_table,
)

if TYPE_CHECKING:
    from kaireon_api.settings import Settings
    from kaireon_storage.postgres.database import Database
    from tests.api.conftest import Eventually
    from tests.api.shop import Shop
    from tests.outbox_publisher.conftest import StartPublisher

__all__ = [
    "api",
    "cassandra_port",
    "cassandra_store",
    "dynamodb_store",
    "dynamodb_url",
    "eventually",
    "settings",
    "shop",
    "start_publisher",
]

pytestmark = pytest.mark.backends


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest) -> DynamoDbStore | CqlStore:
    """The table of each store that can be had."""
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
async def gate(place: DynamoDbStore | CqlStore) -> AsyncIterator[Gate]:
    """The way to the store, which can be shut."""
    port = urlsplit(place.endpoint_url or "").port if isinstance(place, DynamoDbStore) else place.port
    gate = Gate("127.0.0.1", port or 0)
    await gate.open()
    yield gate
    await gate.shut()


@pytest.fixture
def variables(place: DynamoDbStore | CqlStore, gate: Gate) -> dict[str, str]:
    """What a tier is told."""
    if isinstance(place, DynamoDbStore):
        return {
            "INTERACTION_STORE": "dynamodb",
            "DYNAMODB_TABLE": place.table,
            "DYNAMODB_REGION": "eu-west-1",
            "DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{gate.port}",
        }
    return {
        "INTERACTION_STORE": "cassandra",
        # Not through the gate: the driver asks the node for its own address.
        "CASSANDRA_PORT": str(place.port),
        "CASSANDRA_KEYSPACE": place.keyspace,
        "INTERACTION_STORE_TIMEOUT_MS": "5000",
    }


@pytest.fixture
async def app(settings: Settings, variables: dict[str, str]) -> AsyncIterator[Api]:
    """The opened application, with the store."""
    told = {name.lower(): value for name, value in variables.items()}
    built = build_app(type(settings).model_validate({**settings.model_dump(), **told}))
    async with opened(built.services):
        yield built


@pytest.fixture
async def store(place: DynamoDbStore | CqlStore) -> AsyncIterator[PartitionedStore]:
    """The store itself, past the gate."""
    async with opened_table(table_of(place)) as partitioned:
        yield partitioned


async def everything(store: PartitionedStore) -> Sequence[InteractionRecord]:
    return (await store.export(ExportWindow(), None, 1000)).records


async def happened(shop: Shop, database: Database, eventually: Eventually) -> str:
    """Let things happen until the store has them; return the last recommendation of c1."""
    decisions = [(await shop.recommend(channel="web", limit=2))["recommendationId"] for _ in range(4)]
    for decision in decisions:
        await shop.respond(decision, recommendationId=decision, rank=1, outcome="convert")
    await shop.respond("later", customerId="c2", creativeId="silver-mail", context={"mail": "é"})
    marks = PostgresStoreMarks(database)

    async def is_settled() -> bool:
        return (await marks.backlog()).interactions == 0

    await eventually(is_settled)
    return decisions[-1]


async def test_histories_read_the_same_from_the_store(
    shop: Shop,
    database: Database,
    store: PartitionedStore,
    start_publisher: StartPublisher,
    variables: dict[str, str],
    eventually: Eventually,
) -> None:
    start_publisher(**variables)
    decision = await happened(shop, database, eventually)
    expected: dict[str, Any] = {}
    filters: tuple[dict[str, Any], ...] = (
        {},
        {"type": "impression"},
        {"type": "recommendation"},
        {"offerId": "gold"},
        {"recommendationId": decision},
    )
    for chosen in ("dynamodb", "cassandra", "postgresql"):
        answer = await shop.api.admin.put("/api/v1/settings/interaction-store", json={"backend": chosen})
        assert answer.status_code == (200 if chosen in {variables["INTERACTION_STORE"], "postgresql"} else 400)
        for query in filters:
            whole = await history(shop, customerId="c1", **query)
            assert whole == expected.setdefault(str(query), whole), (chosen, query)
            for limit in (1, 3):
                assert await pages(shop, limit, customerId="c1", **query) == [row["id"] for row in whole]
    assert len(expected["{}"]) == 4 * (2 + 2 + 1)
    # It was the store that answered: what only it has is seen by whoever reads there.
    await PostgresInteractions(database).delete_customer(shop.api.tenant.tenant_id, "c2")
    assert [row["interactionType"] for row in await history(shop, customerId="c2")] == []
    await shop.api.admin.put("/api/v1/settings/interaction-store", json={"backend": variables["INTERACTION_STORE"]})
    assert [row["context"] for row in await history(shop, customerId="c2")] == [{"mail": "é"}]
    for wrong in WRONG:
        answer = await shop.api.viewer.get("/api/v1/interaction-history", params={"customerId": "c1", **wrong})
        assert answer.status_code == 400


async def test_a_response_is_in_the_store_when_it_is_answered(shop: Shop, store: PartitionedStore) -> None:
    recorded = await shop.respond("k", creativeId="gold-web")

    summary = await everything(store)
    assert [str(record.id) for record in summary] == [recorded.json()["interactionId"]]


@pytest.mark.parametrize("place", ["dynamodb"], indirect=True)
async def test_a_store_that_is_away_holds_up_nobody_and_catches_up(
    shop: Shop,
    database: Database,
    store: PartitionedStore,
    gate: Gate,
    start_publisher: StartPublisher,
    variables: dict[str, str],
    eventually: Eventually,
) -> None:
    publisher = start_publisher(**variables)
    await gate.shut()

    for number in range(3):
        assert (await shop.respond(f"k{number}", creativeId="gold-web")).status_code == 201
    assert len(await history(shop, customerId="c1")) == 3  # from Postgres
    publisher.kill()
    await gate.open()
    async with database.system_transaction() as connection:
        await connection.execute("UPDATE interaction_marks SET due_at = now()")
    start_publisher(**variables)

    async def has_caught_up() -> bool:
        return len(await everything(store)) == 3

    await eventually(has_caught_up)


@pytest.mark.parametrize("tier", ["kaireon_api", "kaireon_outbox_publisher"])
async def test_a_tier_does_not_start_without_the_table(
    tier: str, variables: dict[str, str], settings: Settings
) -> None:
    missing = {"DYNAMODB_TABLE": "nobody_made_it", "CASSANDRA_KEYSPACE": "nobody_made_it"}
    told = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "API_KEY_PEPPER": settings.api_key_pepper.get_secret_value(),
        "API_PORT": "28761",
    }

    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        tier,
        env={**os.environ, **told, **variables, **missing},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, printed = await started.communicate()
    told_why = printed.decode()

    assert started.returncode == 2, told_why
    assert "nobody_made_it; create it with" in told_why
    assert "aws dynamodb create-table" in told_why or "CREATE TABLE IF NOT EXISTS nobody_made_it" in told_why
    assert "Traceback" not in told_why


async def test_an_erasure_reaches_the_store(shop: Shop, store: PartitionedStore) -> None:
    await shop.respond("k1", creativeId="gold-web")
    await shop.respond("k2", customerId="c2", creativeId="gold-web")
    assert {record.customer_id for record in await everything(store)} == {"c1", "c2"}

    erased = await shop.api.admin.post("/api/v1/gdpr/erasure", json={"customerId": "c1"})

    assert erased.status_code == 200, erased.text
    assert {record.customer_id for record in await everything(store)} == {"c2"}
