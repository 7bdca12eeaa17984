"""Behavioural metrics: defined strictly, counted for rules and policies, seen at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients
    from tests.api.shop import Shop

Body = dict[str, Any]

PATH = "/api/v1/behavioral-metrics"
CLICK: list[Body] = [{"field": "outcome", "operator": "eq", "value": "click"}]
CLICKS: Body = {"name": "Clicks", "key": "clicks", "filterConditions": CLICK, "computeMode": "realtime"}

GOOD: list[Body] = [
    {"aggregateFunction": "count"},
    {"aggregateFunction": "sum", "sourceField": "conversionValue", "windowDays": 30, "computeMode": "realtime"},
    {"aggregateFunction": "avg", "sourceField": "outcomeDetails.basket.amount", "windowDays": None},
    {"aggregateFunction": "max", "sourceField": "conversion_value", "groupByDimensions": ["offer_id", "outcome_key"]},
    {"aggregateFunction": "count", "sourceField": "offer_id", "batchIntervalMin": 5, "status": "paused"},
    {
        "filterConditions": [{"field": "context.device", "operator": "in", "value": ["phone", None, 1]}],
        "sqlFilter": None,
    },
]
BAD: list[tuple[Body, str]] = [
    ({"sqlFilter": "1 = 1"}, "$.sqlFilter"),
    ({"aggregateFunction": "median"}, "$.aggregateFunction"),
    ({"aggregateFunction": "sum"}, "$.sourceField"),
    ({"aggregateFunction": "sum", "sourceField": "outcome"}, "$.sourceField"),
    ({"sourceField": "mood"}, "$.sourceField"),
    ({"aggregateFunction": "avg", "sourceField": "rank", "computeMode": "realtime"}, "$.computeMode"),
    ({"windowDays": 0}, "$.windowDays"),
    ({"batchIntervalMin": 0}, "$.batchIntervalMin"),
    ({"groupByDimensions": ["mood"]}, "$.groupByDimensions[0]"),
    ({"status": "archived"}, "$.status"),
    ({"filterConditions": [{"field": "mood", "operator": "eq", "value": 1}]}, "$.filterConditions[0].field"),
    ({"filterConditions": [{"field": "outcome", "operator": "regex", "value": "x"}]}, "$.filterConditions[0].operator"),
    ({"filterConditions": [{"field": "outcome", "operator": "in", "value": "x"}]}, "$.filterConditions[0].value"),
    ({"filterConditions": [{"field": "rank", "operator": "eq", "value": {}}]}, "$.filterConditions[0].value"),
    ({"unheard": 1}, "$.unheard"),
]


def paths(answer: httpx.Response) -> list[str]:
    return [problem["path"] for problem in answer.json()["error"]["details"]]


async def test_a_metric_is_kept_as_it_was_sent(api: Clients) -> None:
    for place, given in enumerate(GOOD):
        created = await api.editor.post(PATH, json={"name": f"Metric {place}", **given})

        assert created.status_code == 201, created.text
        assert created.json().items() >= given.items()
    (default, *_) = reversed((await api.viewer.get(PATH)).json()["data"])
    assert default["key"] == "metric_0"
    assert (default["computeMode"], default["batchIntervalMin"], default["windowDays"]) == ("batch", 60, None)
    assert (await api.viewer.post(PATH, json=CLICKS)).status_code == 403


async def test_a_metric_is_checked_strictly(api: Clients) -> None:
    for given, path in BAD:
        refused = await api.editor.post(PATH, json={"name": "Metric", **given})

        assert (refused.status_code, paths(refused)) == (400, [path]), given


async def test_a_tenant_has_twenty_metrics_with_names_of_their_own(api: Clients) -> None:
    for number in range(20):
        assert (await api.editor.post(PATH, json={"name": f"m{number}"})).status_code == 201

    beyond = await api.editor.post(PATH, json={"name": "m20"})
    assert (beyond.status_code, "at most 20" in beyond.json()["error"]["message"]) == (409, True)
    assert (await api.editor.delete(f"{PATH}/m0")).status_code == 204
    again = await api.editor.post(PATH, json={"name": "m1"})
    assert (again.status_code, "name is taken" in again.json()["error"]["message"]) == (409, True)
    assert (await api.editor.post(PATH, json={"name": "m0"})).status_code == 201
    assert (await api.editor.put(f"{PATH}/m0", json={"name": "m1"})).status_code == 409
    assert (await api.editor.put(f"{PATH}/m0", json={"description": "x", "name": "m0"})).status_code == 200


async def test_ids_in_conditions_are_references(shop: Shop) -> None:
    gold = (await shop.get("offers/gold"))["id"]
    conditions = [{"field": "offer_id", "operator": "in", "value": ["gold"]}]

    metric = await shop.create("behavioral-metrics", name="Gold", filterConditions=conditions)
    conditions[0]["value"] = ["gold", "tin"]
    unknown = await shop.api.editor.post(PATH, json={"name": "Tin", "filterConditions": conditions})

    assert metric["filterConditions"][0]["value"] == [gold]
    assert (unknown.status_code, paths(unknown)) == (404, ["$.filterConditions[0].value[1]"])


async def rule(shop: Shop, metric: str, operator: str, value: float, **more: Any) -> httpx.Response:
    config = {"metric": metric, "operator": operator, "value": value}
    body = {"name": f"{metric} {operator} {value}", "ruleType": "metric_condition", "config": config, **more}
    return await shop.api.admin.post("/api/v1/qualification-rules", json=body)


@pytest.mark.parametrize("reference", ["clicks", "Clicks", "id"])
async def test_a_rule_names_a_metric_by_key_name_or_id(shop: Shop, reference: str) -> None:
    metric = await shop.create("behavioral-metrics", **CLICKS)

    made = await rule(shop, metric["id"] if reference == "id" else reference, "gte", 1)
    unknown = await rule(shop, "telepathy", "gte", 1)

    assert (made.status_code, made.json()["config"]["metric"]) == (201, metric["id"])
    assert (unknown.status_code, paths(unknown)) == (404, ["$.config.metric"])


async def shown(shop: Shop, **body: Any) -> list[str]:
    answer = await shop.recommend(channel="email", **body)
    return sorted(decision["offerKey"] for decision in answer["decisions"])


async def test_a_metric_is_seen_by_the_next_decision_of_any_process(shop: Shop, second: Shop) -> None:
    await shop.create("behavioral-metrics", **CLICKS)
    assert (await rule(shop, "clicks", "gte", 2, scope="offer", scopeId="gold")).status_code == 201
    await shop.policy(
        "metric_condition", {"metric": "clicks", "operator": "gte", "value": 3}, scope="offer", scopeId="silver"
    )
    for one in (shop, second):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await shown(one) != ["bronze", "silver"]:
                await asyncio.sleep(0.02)

    seen: list[list[list[str]]] = []
    for number in range(3):
        await shop.respond(f"k{number}", creativeId="bronze-mail", outcome="click")
        seen.append([await shown(one) for one in (shop, second)])

    assert seen == [[["bronze", "silver"]] * 2, [["bronze", "gold", "silver"]] * 2, [["bronze", "gold"]] * 2]
    assert await shown(shop, customerId="c2") == ["bronze", "silver"]
    decision = await shop.recommend()
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
    assert list(trace["facts"]["metrics"].values()) == [3]
    replay = await shop.api.viewer.post(f"/api/v1/decision-traces/{trace['id']}/replay", json={})
    assert replay.json() == {"identical": True, "differences": []}


async def test_values_of_responses_add_up(shop: Shop) -> None:
    metal: list[Body] = [{"field": "categoryId", "operator": "eq", "value": "metals"}]
    await shop.create("categories", name="Metals", key="metals")
    await shop.api.editor.put("/api/v1/offers/gold", json={"categoryId": "metals"})
    spent: Body = {"aggregateFunction": "sum", "sourceField": "conversionValue", "windowDays": 2}
    await shop.create("behavioral-metrics", name="spent", **spent, filterConditions=metal)
    await rule(shop, "spent", "gt", 9.5, scope="offer", scopeId="gold")
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    days_ago = (datetime.now(UTC) - timedelta(days=2, seconds=5)).isoformat()

    steps: list[tuple[Body, bool]] = [
        ({"creativeId": "gold-mail", "conversionValue": 5, "timestamp": an_hour_ago}, False),
        ({"creativeId": "silver-mail", "conversionValue": 50}, False),
        ({"creativeId": "gold-mail", "conversionValue": 50, "timestamp": days_ago}, False),
        ({"creativeId": "gold-mail"}, False),
        ({"creativeId": "gold-mail", "conversionValue": 4.75, "outcome": "convert"}, True),
    ]
    for number, (response, is_gold) in enumerate(steps):
        assert (await shop.respond(f"k{number}", **response)).status_code == 201
        assert ("gold" in await shown(shop)) is is_gold, number


async def test_an_impression_of_a_decision_counts_for_the_next(shop: Shop) -> None:
    await shop.create("behavioral-metrics", name="seen")
    await shop.policy("metric_condition", {"metric": "seen", "operator": "gte", "value": 3})

    counts = [(await shop.recommend(channel="web", limit=2))["count"] for _ in range(3)]

    assert counts == [2, 2, 0], "recommendations are no interactions, impressions are"


async def test_a_metric_that_is_paused_or_changed_decides_at_once(shop: Shop) -> None:
    metric = await shop.create("behavioral-metrics", **CLICKS)
    await rule(shop, "clicks", "gte", 1)
    await shop.respond("k", creativeId="gold-mail", outcome="click")
    assert len(await shown(shop)) == 3

    dismissals = [{"field": "outcome", "operator": "eq", "value": "dismiss"}]
    for change, count in (
        ({"filterConditions": dismissals}, 0),
        ({"filterConditions": CLICK}, 3),
        ({"status": "paused"}, 0),
    ):
        changed = await shop.api.editor.put(f"{PATH}/{metric['id']}", json=change)
        assert changed.status_code == 200
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(await shown(shop)) != count:
                await asyncio.sleep(0.02)
