"""Experiments and the control group over HTTP: who is decided for by which model, for thirty days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaireon_core.experimentation.bucket import bucket_of

if TYPE_CHECKING:
    from tests.api.conftest import Eventually
    from tests.api.shop import Shop

CUSTOMERS = [f"c{number}" for number in range(40)]


async def scorecard(shop: Shop, key: str, base: float) -> dict[str, Any]:
    config: dict[str, Any] = {"baseScore": base, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": []}
    model = await shop.create(
        "algorithm-models", key=key, name=key, modelType="scorecard", status="active", config=config
    )
    answer = await shop.api.admin.post(f"/api/v1/algorithm-models/{key}/promote", json={"toStatus": "challenger"})
    assert answer.status_code == 200, answer.text
    return model


def contest(champion: int = 70, **more: Any) -> dict[str, Any]:
    arms = {"champion": {"modelKey": "low", "weight": champion}, "challengers": [{"modelKey": "high", "weight": 30}]}
    return {"type": "score", "config": {"method": "propensity", "championChallenger": {**arms, **more}}}


async def two_models(shop: Shop) -> None:
    await scorecard(shop, "low", 20)
    await scorecard(shop, "high", 80)


async def has_heard(shop: Shop, version: int) -> bool:
    """Return whether an instance knows this version of the flow; one that knows no flow at all would make its own."""
    body = {"customerId": "somebody else", "decisionFlowKey": "contest", "debug": True}
    answer = await shop.api.viewer.post("/api/v1/recommend", json=body)
    return answer.status_code == 200 and answer.json()["meta"]["flowVersion"] == version


async def test_each_customer_is_decided_for_by_the_model_of_their_bucket(
    shop: Shop, second: Shop, eventually: Eventually
) -> None:
    await two_models(shop)
    await shop.flow("contest", contest())

    await eventually(lambda: has_heard(second, version=1))
    for place, customer in enumerate(CUSTOMERS):
        decision = await (shop, second)[place % 2].recommend(customer)
        model = "low" if bucket_of("contest", customer) < 70 else "high"
        assert decision["experimentAssignment"] == {"experimentKey": "contest", "variant": model}, customer
        assert decision["decisions"][0]["propensity"] == {"low": 0.2, "high": 0.8}[model]
        assert "controlGroup" not in decision


async def test_an_assignment_holds_when_the_split_changes(shop: Shop, second: Shop, eventually: Eventually) -> None:
    await two_models(shop)
    flow = await shop.flow("contest", contest())
    before = {one: (await shop.recommend(one))["experimentAssignment"]["variant"] for one in CUSTOMERS[:20]}
    config = flow["draftConfig"]
    config["nodes"][1]["config"]["championChallenger"]["champion"]["weight"] = 100
    config["nodes"][1]["config"]["championChallenger"]["challengers"][0]["weight"] = 0
    await shop.api.editor.put("/api/v1/decision-flows/contest", json={"draftConfig": config})
    await shop.api.editor.post("/api/v1/decision-flows/contest/publish", json={})

    after = {one: (await shop.recommend(one))["experimentAssignment"]["variant"] for one in CUSTOMERS}
    await eventually(lambda: has_heard(second, version=2))
    elsewhere = {one: (await second.recommend(one))["experimentAssignment"]["variant"] for one in CUSTOMERS}

    assert set(before.values()) == {"low", "high"}
    assert after == {one: before.get(one, "low") for one in CUSTOMERS}
    assert elsewhere == after
    await shop.run("UPDATE variant_assignments SET expires_at = now() WHERE tenant_id = %(tenant_id)s")
    await shop.respond("forget what is cached", customerId="c1", creativeId="gold-web", outcome="click")
    assert (await shop.recommend("c1"))["experimentAssignment"]["variant"] == "low"


async def test_a_list_and_a_trace_name_the_variant_and_a_replay_repeats_it(shop: Shop) -> None:
    await two_models(shop)
    await shop.create(
        "experiments",
        key="spring",
        name="Spring",
        status="active",
        championModelId="low",
        trafficSplit={"championPct": 70},
        challengers=[{"modelId": "high", "trafficPct": 30}],
    )
    await shop.flow("contest", contest(experimentId="spring"))

    answer = await shop.api.viewer.post("/api/v1/decide", json={"customerIds": CUSTOMERS[:12]})

    for result in answer.json()["results"]:
        model = "low" if bucket_of("spring", result["customerId"]) < 70 else "high"
        assignment = {"experimentKey": "spring", "variant": model}
        assert result["experimentAssignment"] == assignment
        trace = await shop.get(f"decision-traces/{result['recommendationId']}")
        assert (trace["experimentAssignment"], trace["controlGroup"]) == (assignment, False)
        assert {one["modelKey"] for one in trace["scoringResults"]} == {model}
        path = f"/api/v1/decision-traces/{result['recommendationId']}/replay"
        assert (await shop.api.viewer.post(path)).json() == {"identical": True, "differences": []}
        other = await shop.api.viewer.post(path, json={"modelKey": {"low": "high", "high": "low"}[model]})
        assert not other.json()["identical"]


async def test_a_paused_experiment_leaves_everybody_to_the_flow(shop: Shop) -> None:
    await two_models(shop)
    split = {"trafficSplit": {"championPct": 70}, "challengers": [{"modelId": "high", "trafficPct": 30}]}
    await shop.create("experiments", key="spring", name="Spring", status="paused", **split)
    node = contest(experimentId="spring")
    node["config"]["modelKey"] = "low"
    await shop.flow("contest", node)

    decisions = [await shop.recommend(one) for one in CUSTOMERS[:10]]

    assert {decision["experimentAssignment"] is None for decision in decisions} == {True}
    assert {decision["decisions"][0]["propensity"] for decision in decisions} == {0.2}


async def test_who_is_held_out_is_decided_by_priority(shop: Shop) -> None:
    await two_models(shop)
    await shop.flow("contest", contest())
    await shop.api.admin.put("/api/v1/tenant-settings", json={"holdoutPercentage": 50})
    await shop.flow("published-afterwards", publish=True)

    answer = await shop.api.viewer.post(
        "/api/v1/decide", json={"customerIds": CUSTOMERS, "decisionFlowKey": "contest", "channel": "email"}
    )

    held_out = [one for one in answer.json()["results"] if one.get("controlGroup")]
    assert {one["customerId"] for one in held_out} == {
        one for one in CUSTOMERS if bucket_of("__holdout__", one, 10_000) < 5_000
    }
    assert 5 < len(held_out) < 35
    for result in held_out:
        assert result["experimentAssignment"] is None
        assert [(item["score"], item["propensity"]) for item in result["decisions"]] == [
            (0.9, None),
            (0.6, None),
            (0.3, None),
        ]
        trace = await shop.get(f"decision-traces/{result['recommendationId']}")
        assert trace["controlGroup"] is True
        path = f"/api/v1/decision-traces/{result['recommendationId']}/replay"
        assert (await shop.api.viewer.post(path)).json() == {"identical": True, "differences": []}


async def test_a_wrong_split_is_refused(shop: Shop) -> None:
    await two_models(shop)
    config = {"version": 2, "nodes": [{"id": "i", "type": "inventory"}, {"id": "s", **contest(champion=60)}]}
    wrong = await shop.api.editor.post("/api/v1/decision-flows", json={"key": "w", "name": "w", "draftConfig": config})
    assert wrong.status_code == 400
    path = "$.draftConfig.nodes[1].config.championChallenger.champion.weight"
    assert wrong.json()["error"]["details"][0]["path"] == path

    uneven = await shop.api.editor.post(
        "/api/v1/experiments", json={"name": "x", "challengers": [{"modelId": "high", "trafficPct": 30}]}
    )
    assert (uneven.status_code, uneven.json()["error"]["details"][0]["path"]) == (400, "$.trafficSplit.championPct")
    twice = {"championModelId": "high", "challengers": [{"modelId": "high", "trafficPct": 20}]}
    answer = await shop.api.editor.post("/api/v1/experiments", json={"name": "x", **twice})
    assert (answer.status_code, answer.json()["error"]["details"][0]["path"]) == (400, "$.challengers[0].modelId")
    other = {"trafficSplit": {"championPct": 50}, "challengers": [{"modelId": "high", "trafficPct": 50}]}
    await shop.create("experiments", key="other", name="other", **other)
    flow = await shop.flow("contest", contest(experimentId="other"), publish=False)
    published = await shop.api.editor.post(f"/api/v1/decision-flows/{flow['key']}/publish", json={})
    assert published.status_code == 400
    assert published.json()["error"]["details"][0]["path"].endswith("championChallenger.experimentId")
    unknown = await shop.flow("unknown", contest(experimentId="nowhere"), publish=False)
    published = await shop.api.editor.post(f"/api/v1/decision-flows/{unknown['key']}/publish", json={})
    assert published.status_code == 400
