"""Deciding again over HTTP: from what a trace has kept, whatever was changed since, or with one thing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from tests.api.shop import Shop

SAME: dict[str, Any] = {"identical": True, "differences": []}


async def replay(shop: Shop, decision: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = await shop.api.viewer.post(f"/api/v1/decision-traces/{decision['recommendationId']}/replay", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_decision_replays_whatever_was_changed_since(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 2})
    decisions = [
        await shop.recommend(channel="web", limit=2, attributes={"age": 40}, segments=["new"]),
        await shop.recommend(channel="web", context={"device": "phone"}, excludeOffers=["gold"]),
    ]
    await shop.api.editor.put("/api/v1/offers/gold", json={"priority": 1})
    await shop.api.editor.delete("/api/v1/offers/silver")
    await shop.recommend(channel="web")

    assert [await replay(shop, decision) for decision in decisions] == [SAME, SAME]


async def test_a_replay_needs_no_body(shop: Shop) -> None:
    decision = await shop.recommend()

    by_id = decision["recommendationId"].removeprefix("rec_")
    answer = await shop.api.viewer.post(f"/api/v1/decision-traces/{by_id}/replay")

    assert (answer.status_code, answer.json()) == (200, SAME)


async def test_a_model_scores_in_the_version_of_its_time(shop: Shop) -> None:
    await scorecard(shop, "by-age", points=30)
    await shop.flow("scored", {"type": "score", "config": {"method": "propensity", "modelKey": "by-age"}})
    decision = await shop.recommend(decisionFlowKey="scored", attributes={"age": 40})
    config = {"rules": [{"id": "r", "field": "age", "operator": "gt", "value": 18, "points": 1}]}
    changed = await shop.api.admin.put("/api/v1/algorithm-models/by-age", json={"config": config})
    assert changed.status_code == 200, changed.text
    # What is published includes every write before it, in this process at once.
    await shop.flow("another")

    assert await replay(shop, decision) == SAME
    now = await replay(shop, decision, modelKey="by-age")
    assert not now["identical"]
    assert now["decisions"][0]["score"] < decision["decisions"][0]["score"]


async def test_another_flow_says_what_it_would_have_decided(shop: Shop) -> None:
    await shop.flow("one", {"type": "rank", "config": {"method": "topN", "maxCandidates": 1}})
    decision = await shop.recommend(decisionFlowKey="one")
    await shop.flow("cheap", {"type": "filter", "config": cheap()})

    instead = await replay(shop, decision, decisionFlowKey="cheap")

    assert not instead["identical"]
    assert [item["offerKey"] for item in instead["decisions"]] == ["bronze"]
    assert instead["differences"][0] == {
        "path": "decisions[0]",
        "recorded": {"offerKey": "gold", "creativeId": None},
        "replayed": {"offerKey": "bronze", "creativeId": None},
    }


async def test_an_earlier_version_says_what_it_would_have_decided(shop: Shop) -> None:
    flow = await shop.flow("one", {"type": "rank", "config": {"method": "topN", "maxCandidates": 1}})
    config = {**flow["draftConfig"], "nodes": [one for one in flow["draftConfig"]["nodes"] if one["type"] != "rank"]}
    await shop.api.editor.put("/api/v1/decision-flows/one", json={"draftConfig": config})
    await shop.api.editor.post("/api/v1/decision-flows/one/publish", json={})
    decision = await shop.recommend(decisionFlowKey="one")

    assert len(decision["decisions"]) == 3
    assert len((await replay(shop, decision, version=1))["decisions"]) == 1
    same = await replay(shop, decision, version=2)
    assert (same["identical"], len(same["decisions"])) == (True, 3)


async def test_what_cannot_be_replayed_is_refused(shop: Shop, other_shop: Shop) -> None:
    decision, theirs = await shop.recommend(), await other_shop.recommend()
    wrong: list[tuple[str, dict[str, Any], int]] = [
        (theirs["recommendationId"], {}, 404),
        (f"rec_{uuid4()}", {}, 404),
        ("nonsense", {}, 404),
        ("rec_00f1e2d3-0000-7000-8000-000000000000", {}, 410),
        (decision["recommendationId"], {"decisionFlowKey": "nowhere"}, 404),
        (decision["recommendationId"], {"modelKey": "nowhere"}, 404),
        (decision["recommendationId"], {"version": 99}, 404),
        (decision["recommendationId"], {"version": "1"}, 400),
        (decision["recommendationId"], {"flow": "x"}, 400),
    ]
    for id_, body, status in wrong:
        answer = await shop.api.viewer.post(f"/api/v1/decision-traces/{id_}/replay", json=body)
        assert answer.status_code == status, (id_, body, answer.text)


async def test_inputs_that_are_not_kept_any_more_have_expired(shop: Shop) -> None:
    decision = await shop.recommend()
    await shop.run("DELETE FROM snapshots WHERE tenant_id = %(tenant_id)s AND kind = 'snapshot'")

    answer = await shop.api.viewer.post(f"/api/v1/decision-traces/{decision['recommendationId']}/replay")

    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "inputs_expired")


async def scorecard(shop: Shop, key: str, points: float) -> None:
    await shop.create(
        "algorithm-models",
        key=key,
        name=key,
        modelType="scorecard",
        status="active",
        config={"rules": [{"id": "r", "field": "age", "operator": "gt", "value": 18, "points": points}]},
    )
    answer = await shop.api.admin.post(f"/api/v1/algorithm-models/{key}/promote", json={"toStatus": "challenger"})
    assert answer.status_code == 200, answer.text


def cheap() -> dict[str, Any]:
    return {"conditions": [{"field": "offer.priority", "operator": "lt", "value": 50}]}
