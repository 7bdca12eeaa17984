"""Behavioural events: taken once each, one or many, and counted by metrics as soon as they are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients
    from tests.api.shop import Shop

Body = dict[str, Any]

PATH = "/api/v1/events"
EVENT: Body = {"eventType": "cart.abandoned", "customerId": "c1", "properties": {"amount": 42.5}}


def paths(answer: httpx.Response) -> list[str]:
    return [problem["path"] for problem in answer.json()["error"]["details"]]


async def test_one_event_or_a_list_of_them_is_taken(api: Clients) -> None:
    one = await api.editor.post(PATH, json=EVENT)
    many = await api.editor.post(PATH, json=[EVENT, {"eventType": "page.viewed", "sessionId": "s-1"}])

    assert (one.status_code, one.json()["accepted"]) == (202, 1)
    assert set(one.json()["results"][0]) == {"eventType", "streamId", "triggersEvaluated"}
    assert [result["eventType"] for result in many.json()["results"]] == ["cart.abandoned", "page.viewed"]
    ids = {result["streamId"] for answer in (one, many) for result in answer.json()["results"]}
    assert len(ids) == 3
    assert (await api.viewer.post(PATH, json=EVENT)).status_code == 403


BAD: list[tuple[Any, list[str]]] = [
    ({}, ["$.eventType"]),
    ({**EVENT, "eventType": "has space"}, ["$.eventType"]),
    ({**EVENT, "eventType": "outcome.recorded"}, ["$.eventType"]),
    ({**EVENT, "mood": 1}, ["$.mood"]),
    ({**EVENT, "customerId": ""}, ["$.customerId"]),
    ({**EVENT, "timestamp": "yesterday"}, ["$.timestamp"]),
    ([EVENT, {**EVENT, "timestamp": "2001-01-01T00:00:00Z"}, {**EVENT, "timestamp": "2101-01-01T00:00:00Z"}],
     ["$[1].timestamp", "$[2].timestamp"]),
    ([EVENT, {**EVENT, "properties": []}], ["$[1].properties"]),
]  # fmt: skip


async def test_a_bad_event_is_refused_with_all_that_came_with_it(shop: Shop) -> None:
    for given, where in BAD:
        refused = await shop.api.editor.post(PATH, json=given)

        assert (refused.status_code, paths(refused)) == (400, where), given
    for count in (0, 101):
        assert (await shop.api.editor.post(PATH, json=[EVENT] * count)).status_code == 400
    assert (await shop.counts())["interactions"] == 0


async def test_an_event_id_counts_once_whoever_repeats_it(shop: Shop, second: Shop) -> None:
    event = {**EVENT, "eventId": "cart-1"}

    answers = await asyncio.gather(
        *(one.api.editor.post(PATH, json=given) for given in (event, [event, event]) for one in (shop, second) * 4)
    )

    assert {answer.status_code for answer in answers} == {202}
    ids = {result["streamId"] for answer in answers for result in answer.json()["results"]}
    assert len(ids) == 1
    rows = await shop.rows("SELECT id::text, details FROM interactions WHERE tenant_id = %(tenant_id)s")
    assert [row["id"] for row in rows] == list(ids)
    assert rows[0]["details"] == {"eventType": "cart.abandoned", "properties": {"amount": 42.5}}


async def shown(shop: Shop, customer: str = "c1") -> int:
    return (await shop.recommend(customer, channel="email"))["count"]


@pytest.mark.parametrize(
    ("metric", "enough"),
    [
        ({"filterConditions": [{"field": "eventType", "operator": "eq", "value": "cart.abandoned"}]}, 2),
        ({"aggregateFunction": "sum", "sourceField": "properties.amount"}, 80),
    ],
)
async def test_a_metric_counts_events_as_soon_as_they_are_taken(
    shop: Shop, second: Shop, metric: Body, enough: int
) -> None:
    await shop.create("behavioral-metrics", name="Carts", key="carts", computeMode="realtime", **metric)
    config = {"metric": "carts", "operator": "gte", "value": enough}
    await shop.create("qualification-rules", name="R", ruleType="metric_condition", config=config, scope="global")
    assert [await shown(one) for one in (shop, second)] == [0, 0]

    for place in (0, 1, 1):
        await shop.api.editor.post(PATH, json={**EVENT, "eventId": f"cart-{place}"})
        assert [await shown(one) > 0 for one in (shop, second)] == [place == 1] * 2
    assert await shown(shop, "c2") == 0


async def test_an_event_is_no_interaction_with_an_offer(shop: Shop) -> None:
    await shop.create("behavioral-metrics", name="All", key="all", windowDays=3)
    config = {"metric": "all", "operator": "eq", "value": 0}
    await shop.create("qualification-rules", name="R", ruleType="metric_condition", config=config, scope="global")
    await shop.policy("frequency_cap", {"maxTotal": 1})

    await shop.api.editor.post(PATH, json=[EVENT, {**EVENT, "eventType": "impression"}])

    count = await shown(shop)

    assert count > 0
    assert (await shop.get("interaction-history", customerId="c1"))["pagination"]["total"] == count


async def test_an_event_counts_when_it_happened(shop: Shop) -> None:
    await shop.create("behavioral-metrics", name="Carts", key="carts", windowDays=7, sourceField="properties.amount")
    config = {"metric": "carts", "operator": "gte", "value": 1}
    await shop.create("qualification-rules", name="R", ruleType="metric_condition", config=config, scope="global")
    at = (datetime.now(UTC) - timedelta(days=8)).isoformat()

    await shop.api.editor.post(PATH, json={**EVENT, "timestamp": at})
    assert await shown(shop) == 0

    await shop.api.editor.post(PATH, json={**EVENT, "timestamp": (datetime.now(UTC) - timedelta(days=6)).isoformat()})
    assert await shown(shop) > 0
