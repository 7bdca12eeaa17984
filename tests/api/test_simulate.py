"""Simulations: the answers of /recommend, and no trace of having asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.shop import flow_config
from tests.api.test_experiments import contest, two_models
from tests.api.test_traces import only_adults

if TYPE_CHECKING:
    import httpx

    from tests.api.shop import Shop

RANKED = ({"type": "match_creatives"}, {"type": "qualify"}, {"type": "contact_policy"}, {"type": "score"})


async def ask(shop: Shop, *customers: str, **body: Any) -> httpx.Response:
    listed = [{"customerId": customer} for customer in customers or ("c1",)]
    return await shop.api.editor.post("/api/v1/simulate", json={"customers": listed, **body})


async def simulated(shop: Shop, *customers: str, **body: Any) -> dict[str, Any]:
    answer = await ask(shop, *customers, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_simulation_says_what_recommend_would_and_writes_nothing(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 2})
    await shop.flow("ranked", *RANKED)
    before = await shop.counts()

    answers = [await simulated(shop, "c1", "c2", decisionFlowKey="ranked", channel="web") for _ in range(3)]

    assert await shop.counts() == before
    decided = await shop.recommend("c1", decisionFlowKey="ranked", channel="web")
    assert [answer["results"][0]["decisions"] for answer in answers] == [decided["decisions"]] * 3
    assert len(decided["decisions"]) == 2
    first = answers[0]
    assert (first["status"], first["decisionFlowKey"]) == ("completed", "ranked")
    assert (first["reachableCustomers"], first["offersDelivered"], first["averageScore"]) == (2, 4, 0.75)
    assert [(one["offerKey"], one["count"]) for one in first["topOffers"]] == [("gold", 2), ("silver", 2)]
    assert len({answer["id"] for answer in answers}) == 3


async def test_a_simulation_sees_what_has_happened(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 2})
    await shop.flow("ranked", *RANKED)
    await shop.recommend("c1", decisionFlowKey="ranked", channel="web", limit=1)

    answer = await simulated(shop, "c1", "c2", decisionFlowKey="ranked", channel="web")

    assert [len(one["decisions"]) for one in answer["results"]] == [1, 2]


async def test_a_customer_is_summed_up(shop: Shop) -> None:
    await only_adults(shop)
    await shop.policy("cooldown", {"cooldownHours": 1}, scope="offer", scopeId="silver")
    await shop.flow("ranked", *RANKED)
    await shop.recommend("c1", decisionFlowKey="ranked", channel="web")
    customers = [{"customerId": "c1", "attributes": {"age": 12}}]

    answer = await simulated(shop, customers=customers, channel="web", limit=1)

    (result,) = answer["results"]
    assert [item["offerKey"] for item in result["decisions"]] == ["bronze"]
    summary = result["traceSummary"]
    assert [summary[name] for name in ("totalCandidates", "afterQualification", "afterContactPolicy")] == [6, 2, 1]
    assert [(one["offerKey"], one["score"]) for one in summary["topScores"]] == [("bronze", 0.3)]
    assert result["degradedScoring"] is False


async def test_a_given_flow_decides_without_being_published(shop: Shop) -> None:
    flow = flow_config({"type": "filter", "config": {"conditions": [GOLD]}}, {"type": "score"})

    answer = await simulated(shop, "c1", "c1", "c2", flow=flow)

    assert [[item["offerKey"] for item in one["decisions"]] for one in answer["results"]] == [["gold"], ["gold"]]
    assert answer["decisionFlowKey"] is None
    assert (await shop.get("decision-flows"))["data"] == []


async def test_nobody_reached_has_no_average(shop: Shop) -> None:
    flow = flow_config({"type": "filter", "config": {"conditions": [{**GOLD, "value": "none"}]}}, {"type": "score"})

    answer = await simulated(shop, flow=flow)

    assert (answer["reachableCustomers"], answer["averageScore"], answer["topOffers"]) == (0, None, [])
    assert answer["results"][0]["traceSummary"]["topScores"] == []


async def test_a_given_flow_may_call_a_published_one(shop: Shop) -> None:
    await shop.flow("called", {"type": "filter", "config": {"conditions": [GOLD]}}, {"type": "score"})
    call = {"type": "call_flow", "phase": 1, "config": {"flowKey": "called"}}

    answer = await simulated(shop, flow=flow_config(call, {"type": "score"}))

    assert [item["offerKey"] for item in answer["results"][0]["decisions"]] == ["gold"]


async def test_customers_are_split_as_recommend_would_split_them(shop: Shop) -> None:
    await two_models(shop)
    await shop.flow("contest", contest())
    customers = [f"c{number}" for number in range(6)]

    published = await simulated(shop, *customers, decisionFlowKey="contest")
    given = await simulated(shop, *customers, flow=flow_config(contest()))

    decided = [(await shop.recommend(customer, decisionFlowKey="contest"))["decisions"] for customer in customers]
    assert [one["decisions"] for one in published["results"]] == decided
    assert len({one["decisions"][0]["score"] for one in given["results"]}) == 2


async def test_a_segment_stands_for_its_first_members(shop: Shop) -> None:
    fields = [
        {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
        {"name": "age", "dataType": "integer"},
    ]
    await shop.create("schemas", name="people", key="people", fields=fields)
    people = [{"customer_id": f"p{age:04}", "age": age} for age in range(1100)]
    for part in (people[:600], people[600:]):
        assert (await shop.api.editor.post("/api/v1/schemas/people/data", json={"rows": part})).status_code == 201
    for name, least in (("grown", 18), ("nobody", 5000)):
        filters = [{"field": "age", "operator": "gte", "value": least}]
        await shop.create("segments", name=name, baseSchemaId="people", filters=filters, status="active")

    async def of(segment: str, **body: Any) -> httpx.Response:
        body = {"flow": SCORED, "segmentId": segment, **body}
        return await shop.api.editor.post("/api/v1/simulate", json=body)

    some, all_, none, unknown = [
        await of(*asked, **more)
        for *asked, more in (("grown", {"sampleSize": 3}), ("grown", {}), ("nobody", {}), ("gone", {}))
    ]
    members = [f"p{age:04}" for age in range(18, 1100)]
    assert [one["customerId"] for one in some.json()["results"]] == members[:3]
    assert [one["customerId"] for one in all_.json()["results"]] == members[:1000]
    assert all_.json()["reachableCustomers"] == 1000
    assert (none.status_code, none.json()["results"], none.json()["averageScore"]) == (200, [], None)
    assert unknown.status_code == 404, unknown.text


GOLD = {"field": "offer.key", "operator": "eq", "value": "gold"}
SCORED = flow_config({"type": "score"})
BY_MODEL = {"type": "score", "config": {"method": "propensity", "modelKey": "none"}}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"flow": {"version": 2, "nodes": [{"id": "a", "type": "inventory", "phase": 2}]}}, "$.flow.nodes[0].phase"),
        ({"flow": {"version": 2, "nodes": [{"id": "a", "type": "teleport"}]}}, "$.flow.nodes[0].type"),
        ({"flow": {"version": 2, "nodes": []}}, "$.flow.nodes"),
        ({"flow": flow_config(BY_MODEL)}, "$.flow.nodes[1].config.modelKey"),
        ({"flow": flow_config({"type": "call_flow", "phase": 1, "config": {"flowKey": "x"}})}, "$.flow.nodes[1]"),
        ({"flow": SCORED, "decisionFlowKey": "ranked"}, "$.flow"),
        ({"flow": SCORED, "segmentId": "s"}, "$.segmentId"),
        ({"flow": SCORED, "segmentId": "s", "customers": [], "sampleSize": 0}, "$.sampleSize"),
        ({"flow": SCORED, "segmentId": "s", "customers": [], "sampleSize": 1001}, "$.sampleSize"),
        ({"flow": SCORED, "sampleSize": 10}, "$.sampleSize"),
        ({"flow": SCORED, "customers": []}, "$.customers"),
        ({"flow": SCORED, "customers": [{"customerId": str(n)} for n in range(1001)]}, "$.customers"),
        ({"flow": SCORED, "limit": 51}, "$.limit"),
    ],
)
async def test_what_cannot_be_simulated_is_refused_with_its_path(shop: Shop, body: dict[str, Any], path: str) -> None:
    answer = await ask(shop, **body)

    assert answer.status_code == 400, answer.text
    assert any(one["path"].startswith(path) for one in answer.json()["error"]["details"]), answer.text


async def test_only_editors_simulate_and_only_what_there_is(shop: Shop) -> None:
    body = {"customers": [{"customerId": "c1"}], "flow": SCORED}
    viewer = await shop.api.viewer.post("/api/v1/simulate", json=body)
    unknown = await ask(shop, decisionFlowKey="nothing")
    none = await ask(shop)

    assert (viewer.status_code, unknown.status_code, none.status_code) == (403, 404, 404)
    assert (await shop.get("decision-flows"))["data"] == []
