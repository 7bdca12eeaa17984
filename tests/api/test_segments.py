"""Stored segments: defined over a schema, joined with the tags that a decision sees."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    import httpx

    from tests.api.shop import Shop

Body = dict[str, Any]

PATH = "/api/v1/segments"
FIELDS: list[Body] = [
    {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
    {"name": "age", "dataType": "integer"},
    {"name": "city", "dataType": "text"},
    {"name": "since", "dataType": "timestamp"},
    {"name": "born", "dataType": "date"},
    {"name": "tags", "dataType": "json"},
    {"name": "paid", "dataType": "numeric", "precision": 10, "scale": 2},
]
ROWS: list[Body] = [
    {"customer_id": "c1", "age": 40, "city": "Wien", "since": "2026-01-31T12:00:00+01:00", "born": "1986-01-01"},
    {"customer_id": "c2", "age": 17, "tags": ["new", 1], "paid": 2.5, "since": "2026-02-01T00:00:00.25Z"},
    {"customer_id": "c3", "city": "wien", "tags": None, "paid": 10},
]
ADULTS: list[Body] = [{"field": "age", "operator": "gte", "value": 18}]


@pytest.fixture
async def customers(shop: Shop) -> Shop:
    """The shop with three customers."""
    await shop.create("schemas", name="customers", key="customers", fields=FIELDS)
    stored = await shop.api.editor.post("/api/v1/schemas/customers/data", json={"rows": ROWS})
    assert stored.status_code == 201, stored.text
    return shop


async def segment(shop: Shop, name: str, filters: list[Body], **more: Any) -> Body:
    given = {"baseSchemaId": "customers", "status": "active", **more}
    return await shop.create("segments", name=name, filters=filters, **given)


def paths(answer: httpx.Response) -> list[str]:
    return [problem["path"] for problem in answer.json()["error"]["details"]]


async def test_a_segment_is_kept_and_its_members_counted(customers: Shop) -> None:
    schema = await customers.get("schemas/customers")

    made = await segment(customers, "Adults", ADULTS)
    draft = await customers.create("segments", name="Nobody knows", baseSchemaId=schema["id"])

    assert (made["key"], made["baseSchemaId"], made["filters"]) == ("adults", schema["id"], ADULTS)
    assert (made["customerCount"], made["viewName"], made["joins"], made["entityType"]) == (1, None, [], "customer")
    assert (draft["status"], draft["customerCount"]) == ("draft", 3)
    assert (await customers.get("segments/adults"))["customerCount"] == 1
    listed = (await customers.get("segments"))["data"]
    assert [(one["name"], one["customerCount"]) for one in listed] == [("Nobody knows", 3), ("Adults", 1)]
    changed = await customers.api.editor.put(f"{PATH}/adults", json={"filters": []})
    assert (changed.status_code, changed.json()["customerCount"]) == (200, 3)
    assert (await customers.api.editor.delete(f"{PATH}/adults")).status_code == 204


BAD: list[tuple[Body, int, str]] = [
    ({"joins": [{"schemaId": "orders"}]}, 400, "$.joins"),
    ({"baseSchemaId": "orders"}, 404, "$.baseSchemaId"),
    ({"baseSchemaId": None}, 400, "$.baseSchemaId"),
    ({"filters": [{"field": "height", "operator": "gt", "value": 1}]}, 400, "$.filters[0].field"),
    ({"filters": [{"field": "age", "operator": "over", "value": 1}]}, 400, "$.filters[0].operator"),
    ({"filters": [{"field": "age", "operator": "in", "value": 1}]}, 400, "$.filters[0].value"),
    ({"filters": [{"field": "city", "operator": "regex", "value": "("}]}, 400, "$.filters[0].value"),
    ({"filters": [{"field": "age", "operator": "eq", "value": {}}]}, 400, "$.filters[0].value"),
    ({"status": "open"}, 400, "$.status"),
    ({"viewName": "seg_1"}, 400, "$.viewName"),
]


async def test_a_segment_is_checked_strictly(customers: Shop) -> None:
    await customers.create("schemas", name="orders_2", fields=[{"name": "a"}, {"name": "b"}])
    for given, status, path in [*BAD, ({"baseSchemaId": "orders_2"}, 400, "$.baseSchemaId")]:
        refused = await customers.api.editor.post(PATH, json={"name": "S", "baseSchemaId": "customers", **given})

        assert (refused.status_code, paths(refused)) == (status, [path]), given


# Who of the three satisfies what, when decided and when counted.
FILTERS: list[tuple[str, str, Any, str]] = [
    ("age", "gte", 17, "12"),
    ("age", "neq", 40, "23"),
    ("age", "is_null", None, "3"),
    ("age", "eq", "40", ""),
    ("city", "in", ["Wien", None], "12"),
    ("city", "starts_with", "W", "1"),
    ("city", "gt", "Z", "3"),
    ("since", "lt", "2026-02-01", "1"),
    ("since", "eq", "2026-01-31T11:00:00Z", "1"),
    ("since", "eq", "2026-02-01T00:00:00.250000Z", "2"),
    ("born", "lte", "1986-01-01", "1"),
    ("tags", "contains", 1, "2"),
    ("tags", "not_exists", None, "13"),
    ("tags", "eq", ["new", 1], "2"),
    ("paid", "gt", 2.49, "23"),
    ("paid", "in", [10, 2.5], "23"),
]


async def test_who_is_counted_is_who_is_decided_for(customers: Shop) -> None:
    for place, (field, operator, value, _) in enumerate(FILTERS):
        made = await segment(customers, f"s{place}", [{"field": field, "operator": operator, "value": value}])
        assert made["customerCount"] == len(FILTERS[place][3]), FILTERS[place]
        config = {"attribute": "key", "operator": "neq", "value": "gold"}
        rule = {"ruleType": "offer_attribute", "config": config, "scope": "segment", "scopeId": f"s{place}"}
        await customers.create("qualification-rules", name=f"s{place}", priority=place, **rule)

    for customer in "123":
        why_not = await customers.get(f"customers/c{customer}/why-not/gold")
        blocking = {one["ruleName"] for one in why_not["qualification"]["details"] if one["result"] == "blocked"}
        assert blocking == {f"s{place}" for place, (*_, members) in enumerate(FILTERS) if customer in members}


async def shown(shop: Shop, customer: str = "c1", **body: Any) -> list[str]:
    answer = await shop.recommend(customer, channel="email", **body)
    return sorted(decision["offerKey"] for decision in answer["decisions"])


@pytest.mark.parametrize("tag", ["key", "name", "id"])
async def test_rules_and_policies_know_a_segment_by_key_name_or_id(customers: Shop, tag: str) -> None:
    adults = await segment(customers, "Grown ups", ADULTS, key="adults")
    needed = {"ruleType": "segment_required", "config": {"requiredSegments": [adults[tag]]}}
    await customers.create("qualification-rules", name="R", scope="offer", scopeId="gold", **needed)
    await customers.policy("segment_exclusion", {"excludeSegments": [adults[tag]]}, scope="offer", scopeId="silver")
    await customers.policy("frequency_cap", {"maxTotal": 1}, scope="segment", scopeId=adults[tag])

    assert await shown(customers, "c1") == ["gold"]
    assert await shown(customers, "c2") == ["bronze", "silver"]
    assert await shown(customers, "nobody") == ["bronze", "silver"]
    assert await shown(customers, "nobody", segments=[adults[tag]]) == ["gold"]


async def test_a_segment_follows_rows_definition_and_status_at_once(customers: Shop, second: Shop) -> None:
    adults = await segment(customers, "Adults", ADULTS)
    await customers.policy("segment_exclusion", {"excludeSegments": ["adults"]})
    assert [await shown(one, "c4") for one in (customers, second)] == [["bronze", "gold", "silver"]] * 2

    rows = [{"customer_id": "c4", "age": 30}]
    await customers.api.editor.post("/api/v1/schemas/customers/data", json={"rows": rows})
    assert [await shown(one, "c4") for one in (customers, second)] == [[]] * 2

    for change, count in (
        ({"filters": [{"field": "age", "operator": "gt", "value": 30}]}, 3),
        ({"filters": ADULTS}, 0),
        ({"status": "paused"}, 3),
    ):
        assert (await customers.api.editor.put(f"{PATH}/{adults['id']}", json=change)).status_code == 200
        for one in (customers, second):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(await shown(one, "c4")) != count:
                    await asyncio.sleep(0.02)


async def test_a_list_of_customers_is_decided_as_each_alone(customers: Shop) -> None:
    await segment(customers, "Adults", ADULTS)
    await customers.policy("segment_exclusion", {"excludeSegments": ["adults"]}, scope="offer", scopeId="gold")
    ids = ["c3", "c1", "nobody", "c2"]

    answer = await customers.api.viewer.post("/api/v1/decide", json={"customerIds": ids, "channel": "email"})

    together = [[one["offerKey"] for one in result["decisions"]] for result in answer.json()["results"]]
    assert [sorted(one) for one in together] == [await shown(customers, one) for one in ids]
    assert ["gold" in one for one in together] == [True, False, True, True]


async def test_the_trace_holds_the_segments_and_replays_without_them(customers: Shop) -> None:
    adults = await segment(customers, "Adults", ADULTS)
    await customers.policy("segment_exclusion", {"excludeSegments": ["adults"]}, scope="offer", scopeId="gold")

    decision = await customers.recommend(segments=["vip"])
    await customers.api.editor.delete(f"{PATH}/adults")

    trace = await customers.get(f"decision-traces/{decision['recommendationId']}")
    assert set(trace["facts"]["segments"]) == {"vip", "adults", "Adults", adults["id"]}
    assert trace["facts"]["customer"] == {}, "a segment's row enriches nothing"
    replay = await customers.api.viewer.post(f"/api/v1/decision-traces/{trace['id']}/replay", json={})
    assert replay.json() == {"identical": True, "differences": []}


async def test_a_segment_without_its_schema_has_no_members(customers: Shop) -> None:
    await segment(customers, "Adults", ADULTS)
    await customers.policy("segment_exclusion", {"excludeSegments": ["adults"]})
    assert await shown(customers, "c1") == []

    await customers.api.editor.delete("/api/v1/schemas/customers")

    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await shown(customers, "c1")) != 3:
            await asyncio.sleep(0.02)
    assert (await customers.get("segments/adults"))["customerCount"] is None
