"""Rows of schemas: types, limits, pages, isolation, caches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from psycopg.sql import SQL, Identifier
from redis.asyncio import Redis

from kaireon_api.app import build_app, opened
from kaireon_application.decisioning.facts import attributes_key
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.platform.tenant import create_tenant

if TYPE_CHECKING:
    from kaireon_api.settings import Settings
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant
    from tests.api.conftest import Clients

Body = dict[str, Any]

TYPES = {
    "customer_id": "varchar",
    "default": "text",
    "Y": "boolean",
    "emp.var.rate": "double",
    "count": "integer",
    "big": "bigint",
    "price": "numeric",
    "born": "date",
    "seen at": "timestamp",
    "extra": "json",
}
ROW: Body = {
    "customer_id": "C1",
    "default": 'käse "quoted" 100%',
    "Y": True,
    "emp.var.rate": -0.1,
    "count": 2**31 - 1,
    "big": 2**53,
    "price": 12.25,
    "born": "1980-02-29",
    "seen at": "2026-03-18T10:00:00.5+02:00",
    "extra": {"a": [1, None, "x"]},
}


@pytest.fixture
async def url(api: Clients) -> str:
    fields: list[Body] = [{"name": name, "dataType": type_} for name, type_ in TYPES.items()]
    fields[0] |= {"isPrimaryKey": True, "length": 10}
    fields[6] |= {"precision": 6, "scale": 2}
    fields[4] |= {"isNullable": False, "defaultValue": 7}
    created = await api.editor.post("/api/v1/schemas", json={"name": "people", "fields": fields})
    assert created.status_code == 201, created.text
    return "/api/v1/schemas/people"


def paths(answer: httpx.Response) -> list[str]:
    return [problem["path"] for problem in answer.json()["error"]["details"]]


async def test_every_type_comes_back_as_it_was_sent(api: Clients, url: str) -> None:
    stored = await api.editor.post(f"{url}/data", json={"rows": [ROW, {"customer_id": "C2"}]})

    assert (stored.status_code, stored.json()) == (201, {"inserted": 2, "tableName": "ds_people"})
    answer = (await api.viewer.get(f"{url}/data")).json()
    assert answer["data"][0] == ROW | {"seen at": "2026-03-18T08:00:00.500000Z"}
    assert answer["data"][1] == dict.fromkeys(TYPES) | {"customer_id": "C2", "count": 7}
    assert answer["pagination"] == {"total": 2, "limit": 50, "offset": 0, "hasMore": False, "nextCursor": None}


async def test_rows_whose_key_exists_are_left_out(api: Clients, url: str) -> None:
    first = await api.editor.post(f"{url}/data", json={"rows": [{"customer_id": "A"}, {"customer_id": "B"}]})
    second = await api.editor.post(
        f"{url}/data", json={"rows": [{"customer_id": "B", "count": 1}, {"customer_id": "C"}, {"customer_id": "C"}]}
    )

    assert [answer.json()["inserted"] for answer in (first, second)] == [2, 1]
    assert [row["count"] for row in (await api.viewer.get(f"{url}/data")).json()["data"]] == [7, 7, 7]


async def test_a_value_that_does_not_fit_is_named_and_nothing_is_stored(api: Clients, url: str) -> None:
    for change, path in (
        ({"customer_id": 5}, "customer_id"),
        ({"customer_id": "x" * 11}, "customer_id"),
        ({"customer_id": None}, "customer_id"),
        ({"default": 5}, "default"),
        ({"Y": 1}, "Y"),
        ({"Y": "true"}, "Y"),
        ({"emp.var.rate": "1.5"}, "emp.var.rate"),
        ({"emp.var.rate": True}, "emp.var.rate"),
        ({"count": 1.5}, "count"),
        ({"count": 2**31}, "count"),
        ({"count": None}, "count"),
        ({"price": 10000}, "price"),
        ({"born": "29.02.1980"}, "born"),
        ({"born": "1981-02-29"}, "born"),
        ({"born": "1980-02-29T00:00:00"}, "born"),
        ({"seen at": "now"}, "seen at"),
        ({"unknown": 1}, "unknown"),
    ):
        rows = [{"customer_id": "A"}, {"customer_id": "B", **change}]
        refused = await api.editor.post(f"{url}/data", json={"rows": rows})
        assert refused.status_code == 400, change
        assert paths(refused) == [f"$.rows[1].{path}"]
    nothing: Body = {}
    missing = await api.editor.post(f"{url}/data", json={"rows": [nothing]})
    assert paths(missing) == ["$.rows[0].customer_id"]
    assert (await api.viewer.get(f"{url}/data")).json()["data"] == []


async def test_a_call_takes_a_thousand_rows_or_five_megabytes(api: Clients, url: str) -> None:
    rows = [{"customer_id": f"C{i}"} for i in range(1001)]

    assert (await api.editor.post(f"{url}/data", json={"rows": rows})).status_code == 400
    assert (await api.editor.post(f"{url}/data", json={"rows": rows[:1000]})).json()["inserted"] == 1000
    large = [{"customer_id": f"L{i}", "default": "x" * 53_000} for i in range(100)]
    assert (await api.editor.post(f"{url}/data", json={"rows": large})).status_code == 413
    assert (await api.editor.post(f"{url}/data", json={"rows": large[:90]})).status_code == 201
    for path in ("/api/v1/schemas/nothing/data", "/api/v1/schemas/nothing/data?"):
        assert (await api.editor.post(path, json={"rows": large})).status_code == 404, "an unknown id comes first"


async def test_rows_are_paged_by_offset_and_cursor(api: Clients, url: str) -> None:
    await api.editor.post(f"{url}/data", json={"rows": [{"customer_id": f"C{i}"} for i in range(5)]})

    by_offset = (await api.viewer.get(f"{url}/data", params={"limit": 2, "offset": 2})).json()
    by_cursor = (
        await api.viewer.get(f"{url}/data", params={"limit": 2, "cursor": by_offset["pagination"]["nextCursor"]})
    ).json()

    assert [row["customer_id"] for row in by_offset["data"]] == ["C2", "C3"]
    assert [row["customer_id"] for row in by_cursor["data"]] == ["C4"]
    assert by_cursor["pagination"]["hasMore"] is False
    for bad in ({"limit": 0}, {"limit": 501}, {"offset": -1}, {"cursor": "?"}, {"cursor": "bzE_"}):
        assert (await api.viewer.get(f"{url}/data", params=bad)).status_code == 400, bad


async def test_stats_count_rows_and_nulls(api: Clients, url: str) -> None:
    await api.editor.post(f"{url}/data", json={"rows": [ROW, {"customer_id": "C2"}]})

    stats = (await api.viewer.get(f"{url}/stats")).json()

    assert (stats["rowCount"], stats["fieldCount"], stats["tableName"]) == (2, 10, "ds_people")
    assert stats["nullCounts"] == dict.fromkeys(TYPES, 1) | {"customer_id": 0, "count": 0}


async def test_rows_without_a_key_are_numbered(api: Clients) -> None:
    fields = [{"name": "customerId"}, {"name": "amount", "dataType": "double"}]
    await api.editor.post("/api/v1/schemas", json={"name": "purchases", "fields": fields})
    url = "/api/v1/schemas/purchases/data"

    await api.editor.post(url, json={"rows": [{"customerId": "A", "amount": 1}, {"customerId": "A", "amount": 2}]})

    assert (await api.viewer.get(url)).json()["data"] == [
        {"id": 1, "customerId": "A", "amount": 1.0},
        {"id": 2, "customerId": "A", "amount": 2.0},
    ]
    assert (await api.editor.post(url, json={"rows": [{"id": 9}]})).status_code == 400


async def test_another_tenants_rows_do_not_exist(api: Clients, url: str, database: Database) -> None:
    await api.editor.post(f"{url}/data", json={"rows": [ROW]})
    schema = (await api.viewer.get(url)).json()
    other = await create_tenant(database, "globex")

    async with api.with_key(other.api_keys["admin"]) as stranger:
        for path in (f"/api/v1/schemas/{schema['id']}", url):
            assert (await stranger.get(f"{path}/data")).status_code == 404
            assert (await stranger.get(f"{path}/stats")).status_code == 404
            assert (await stranger.post(f"{path}/data", json={"rows": [ROW]})).status_code == 404
    table = Identifier(f"tenant_{api.tenant.tenant_id.hex}", "ds_people")
    async with database.transaction(other.tenant_id) as connection:
        cursor = await connection.execute(SQL("SELECT count(*) AS n FROM {}").format(table))
        assert await cursor.fetchone() == {"n": 0}, "row-level security holds, whoever writes the statement"


async def test_a_write_forgets_the_customers_cached_attributes(api: Clients, url: str, redis_url: str) -> None:
    first, second = (attributes_key(str(api.tenant.tenant_id), customer) for customer in ("C1", "C2"))
    async with Redis.from_url(redis_url) as redis:
        await redis.mset({first: "x", second: "x"})

        await api.editor.post(f"{url}/data", json={"rows": [ROW]})

        assert await redis.mget(first, second) == [None, b"x"]


async def test_rows_are_stored_while_redis_is_down(settings: Settings, tenant: Tenant) -> None:
    broken = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    app = build_app(broken)
    headers = {"Authorization": f"Bearer {tenant.api_keys['editor']}"}
    async with (
        opened(app.services),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://t", headers=headers) as client,
    ):
        fields = [{"name": "customer_id", "isPrimaryKey": True}]
        await client.post("/api/v1/schemas", json={"name": "people", "fields": fields})
        stored = await client.post("/api/v1/schemas/people/data", json={"rows": [{"customer_id": "A"}]})
        metrics = (await client.get("/api/metrics")).text

    assert stored.status_code == 201
    assert 'kaireon_cache_errors_total{key="attributes"} 1.0' in metrics


async def test_many_writers_of_the_same_rows_store_each_once(api: Clients, url: str) -> None:
    rows = [{"customer_id": f"C{i}"} for i in range(50)]

    answers = await asyncio.gather(
        *(api.editor.post(f"{url}/data", json={"rows": rows[:: 1 if turn % 2 else -1]}) for turn in range(6))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert sum(answer.json()["inserted"] for answer in answers) == 50


async def test_a_value_too_long_for_an_index_is_the_callers_mistake(api: Clients) -> None:
    fields = [{"name": "customer_id", "isPrimaryKey": True}]
    await api.editor.post("/api/v1/schemas", json={"name": "long", "fields": fields})
    text = "".join(f"{place:x}" for place in range(20_000))

    refused = await api.editor.post("/api/v1/schemas/long/data", json={"rows": [{"customer_id": text}]})

    assert refused.status_code == 400
