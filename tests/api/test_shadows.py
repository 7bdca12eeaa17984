"""Shadows over HTTP: told in traces, and in nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_application.decisioning import decide_together

if TYPE_CHECKING:
    from tests.api.conftest import Eventually
    from tests.api.shop import Shop

MODELS = "/api/v1/algorithm-models"
RANK = {"type": "rank", "config": {"method": "explore", "temperature": 0.5, "maxCandidates": 2}}


async def model(shop: Shop, key: str, base: float, status: str | None = "shadow", **fields: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"baseScore": base, "minScore": 0, "maxScore": 100, "normalization": "linear"}
    rule = {"id": "priority", "field": "offer.priority", "operator": "gte", "value": 60, "points": 5}
    body = {"modelType": "scorecard", "status": "active", "config": {**config, "rules": [rule]}, **fields}
    created = await shop.create("algorithm-models", key=key, name=key, **body)
    if status is not None:
        answer = await shop.api.admin.post(f"{MODELS}/{key}/promote", json={"toStatus": status})
        assert answer.status_code == 200, answer.text
    return created


def score(*shadows: str, **config: Any) -> dict[str, Any]:
    return {
        "type": "score",
        "config": {"method": "propensity", "modelKey": "main", **config, "shadowModelKeys": shadows},
    }


async def republish(shop: Shop, flow: dict[str, Any], node: dict[str, Any]) -> None:
    config = flow["draftConfig"]
    config["nodes"][1] = {"id": "n1", **node}
    answer = await shop.api.editor.put(f"/api/v1/decision-flows/{flow['key']}", json={"draftConfig": config})
    assert answer.status_code == 200, answer.text
    answer = await shop.api.editor.post(f"/api/v1/decision-flows/{flow['key']}/publish", json={})
    assert answer.status_code == 200, answer.text


async def fallbacks(shop: Shop, key: str) -> int:
    text = (await shop.api.anonymous.get("/api/metrics")).text
    found = re.findall(rf'kaireon_shadow_fallback_total{{modelKey="{key}",reason="not_ready"}} ([0-9.]+)', text)
    return int(float(found[0])) if found else 0


async def test_a_trace_tells_what_each_shadow_said_of_every_candidate(shop: Shop) -> None:
    await model(shop, "main", 20)
    await model(shop, "candidate", 80)
    await model(shop, "trees", 0, modelType="gradient_boosted", config={})
    await shop.flow("f", score("candidate", "trees"), RANK)

    decision = await shop.recommend("c1", limit=1)

    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
    assert len(trace["scoringResults"]) == len(decision["decisions"]) + 2
    for result in trace["scoringResults"]:
        is_dear = result["offerKey"] != "bronze"
        assert result["score"] == pytest.approx(0.25 if is_dear else 0.2)
        assert result["shadowScores"] == {
            "candidate": {"score": pytest.approx(0.85 if is_dear else 0.8), "engineType": "scorecard"},
            "trees": {"score": None, "reason": "not_ready"},
        }
    assert trace["degradedScoring"] is False
    assert "degradedScoring" not in decision
    replayed = await shop.api.viewer.post(f"/api/v1/decision-traces/{decision['recommendationId']}/replay")
    assert replayed.json() == {"identical": True, "differences": []}


async def test_answers_are_the_same_byte_for_byte_with_and_without_shadows(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await model(shop, "main", 20)
    await model(shop, "candidate", 80)
    await model(shop, "trees", 0, modelType="gradient_boosted", config={})
    # A decision's chance follows from its id, which is new every time: here from a number.
    seed = 0
    monkeypatch.setattr(decide_together, "seed_of", lambda _decision_id: seed)  # pyright: ignore[reportUnknownLambdaType,reportUnknownArgumentType]
    flow = await shop.flow("f", score(), RANK)

    async def answers(prefix: str) -> list[bytes]:
        nonlocal seed
        ask, found = shop.api.viewer.post, list[bytes]()
        for seed in range(12):
            customers = [f"{prefix}-{seed}-{number}" for number in range(5)]
            one = await ask("/api/v1/recommend", json={"customerId": f"{prefix}-{seed}", "limit": 2})
            many = await ask("/api/v1/decide", json={"customerIds": customers})
            assert (one.status_code, many.status_code) == (200, 200)
            found += [one.content, many.content]
        return [re.sub(rb"rec_[0-9a-f-]{36}|" + prefix.encode(), b"", answer) for answer in found]

    before = await answers("before")
    await republish(shop, flow, score("candidate", "trees", "main"))
    shadowed = await answers("after")
    assert shadowed == before
    assert len({re.sub(rb"-[0-9]+", b"", answer) for answer in before}) > 4, "the draws differ from seed to seed"


async def test_shadows_do_nothing_for_a_decision_without_trace(shop: Shop, eventually: Eventually) -> None:
    await model(shop, "main", 20)
    await model(shop, "trees", 0, modelType="gradient_boosted", config={})
    await shop.flow("f", score("trees"))
    await shop.recommend("c1", limit=1)
    counted = await fallbacks(shop, "trees")
    assert counted == len(("gold", "silver", "bronze"))
    body = {"decisionFlowKey": "f", "customers": [{"customerId": "c1"}]}
    simulated = await shop.api.editor.post("/api/v1/simulate", json=body)
    assert simulated.status_code == 200, simulated.text
    answer = await shop.api.admin.put("/api/v1/tenant-settings", json={"decisionTraceSampleRate": 0})
    assert answer.status_code == 200

    async def costs_nothing() -> bool:
        before = await fallbacks(shop, "trees")
        await shop.recommend("c2", decisionFlowKey="f")
        return await fallbacks(shop, "trees") == before

    assert await fallbacks(shop, "trees") == counted
    await eventually(costs_nothing)


async def test_a_retired_shadow_is_skipped(shop: Shop, eventually: Eventually) -> None:
    await model(shop, "main", 20)
    await model(shop, "candidate", 80)
    await model(shop, "old", 50, "archived")
    await shop.flow("f", score("candidate", "old"))

    async def shadows_are(*keys: str) -> bool:
        decision = await shop.recommend("c1")
        trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
        return {frozenset(result["shadowScores"]) for result in trace["scoringResults"]} == {frozenset(keys)}

    assert await shadows_are("candidate")
    await shop.api.admin.post(f"{MODELS}/candidate/promote", json={"toStatus": "archived"})
    await eventually(shadows_are)


async def test_a_shadow_that_nobody_could_mean_is_refused(shop: Shop) -> None:
    await model(shop, "main", 20)
    sleeping = await model(shop, "sleeping", 50, status=None)
    other = await model(shop, "other", 50)
    wrong = ["nowhere", sleeping["key"], other["id"]]
    flow = await shop.flow("f", score("other", *wrong), publish=False)
    answer = await shop.api.editor.post(f"/api/v1/decision-flows/{flow['key']}/publish", json={})
    assert answer.status_code == 400
    paths = [one["path"] for one in answer.json()["error"]["details"]]
    assert paths == [f"$.draftConfig.nodes[1].config.shadowModelKeys[{place}]" for place in (1, 2, 3)]
    twice = {"nodes": [{"id": "s", **score("other", "other")}]}
    answer = await shop.api.editor.post("/api/v1/decision-flows", json={"name": "x", "draftConfig": twice})
    assert (answer.status_code, answer.json()["error"]["details"][0]["path"]) == (
        400,
        "$.draftConfig.nodes[0].config.shadowModelKeys[1]",
    )
