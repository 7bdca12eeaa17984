"""Applying the lifecycle to a flow: one call from what is deployed to what decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_model_lifecycle import bring, create

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Eventually
    from tests.api.shop import Shop

SCORE: dict[str, Any] = {"type": "score", "label": "Score", "config": {"method": "priority_weighted"}}
WAYS = {"v3": "champion", "v4": "challenger", "v5": "challenger", "v6": "shadow", "v1": "archived"}


async def deploy(shop: Shop, family: str = "cards", prefix: str = "", **ways: str) -> dict[str, str]:
    """Bring models of a family to their states, and return their ids by key."""
    ids: dict[str, str] = {}
    for key, status in (ways or WAYS).items():
        ids[prefix + key] = (await create(shop.api.editor, prefix + key))["id"]
        await bring(shop.api.editor, prefix + key, status, family=family)
    return ids


async def apply(shop: Shop, key: str = "f", /, **body: Any) -> httpx.Response:
    return await shop.api.editor.post(f"/api/v1/decision-flows/{key}/apply-lifecycle", json=body)


async def applied(shop: Shop, key: str = "f", **body: Any) -> dict[str, Any]:
    answer = await apply(shop, key, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_score_node_is_filled_with_what_is_deployed(shop: Shop) -> None:
    await deploy(shop)
    flow = await shop.flow("f", SCORE, publish=False)

    found = await applied(shop, family="cards", championWeight=70)

    contest = {
        "enabled": True,
        "champion": {"modelKey": "v3", "weight": 70},
        "challengers": [{"modelKey": "v4", "weight": 15}, {"modelKey": "v5", "weight": 15}],
    }
    set_ = {"method": "propensity", "modelKey": "v3", "championChallenger": contest, "shadowModelKeys": ["v6"]}
    assert found["applied"] == {"nodeId": "n1", **set_}
    assert (found["family"], found["warnings"], found["publishedVersion"]) == ("cards", [], None)
    before = flow["draftConfig"]["nodes"]
    node = {"id": "n1", "type": "score", "label": "Score", "config": set_}
    assert found["flow"]["draftConfig"]["nodes"] == [before[0], node, before[2]]
    assert found["flow"]["rowVersion"] == flow["rowVersion"] + 1
    stored = await shop.get("decision-flows/f")
    assert stored["draftConfig"] == found["flow"]["draftConfig"]
    assert (stored["status"], stored["publishedVersions"]) == ("draft", [])


async def test_it_may_go_live_at_once(shop: Shop, second: Shop, eventually: Eventually) -> None:
    await deploy(shop)
    await shop.flow("f", SCORE)

    found = await applied(shop, publish=True, notes="v3 leads")

    assert found["publishedVersion"] == 2
    assert [one["notes"] for one in found["flow"]["publishedVersions"]] == [None, "v3 leads"]

    async def decides(where: Shop) -> bool:
        # By its key: an instance that has not heard of any flow yet would publish the base flow.
        body = {"customerId": "c1", "decisionFlowKey": "f"}
        answer = await where.api.editor.post("/api/v1/recommend", json=body)
        assigned: dict[str, Any] = answer.json().get("experimentAssignment") or {}
        return answer.status_code == 200 and assigned.get("variant") in {"v3", "v4", "v5"}

    await eventually(lambda: decides(shop))
    await eventually(lambda: decides(second))
    decision = await shop.recommend("c1", decisionFlowKey="f")
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
    assert {frozenset(one["shadowScores"]) for one in trace["scoringResults"]} == {frozenset({"v6"})}


async def test_without_challengers_everybody_gets_the_champion(shop: Shop) -> None:
    await deploy(shop)
    await shop.flow("f", SCORE, publish=False)
    await applied(shop)
    for key in ("v4", "v5", "v6"):
        await shop.api.editor.post(f"/api/v1/algorithm-models/{key}/promote", json={"toStatus": "archived"})
    config = (await applied(shop, championWeight=60))["flow"]["draftConfig"]["nodes"][1]["config"]
    assert (config["modelKey"], config["championChallenger"], config["shadowModelKeys"]) == ("v3", None, [])


async def test_the_family_is_that_of_the_model_in_the_node(shop: Shop) -> None:
    await deploy(shop)
    await deploy(shop, "loans", "loan-", v3="champion", v4="challenger")
    formula = {"method": "formula", "modelKey": "loan-v4", "propensityFloor": 0.1}
    await shop.flow("f", {"type": "score", "config": formula}, publish=False)
    found = await applied(shop)
    assert (found["family"], found["applied"]["modelKey"]) == ("loans", "loan-v3")
    config = found["flow"]["draftConfig"]["nodes"][1]["config"]
    assert (config["method"], config["propensityFloor"], config["shadowModelKeys"]) == ("formula", 0.1, [])

    await shop.flow("g", SCORE, publish=False)
    either = await applied(shop, "g")
    assert (either["family"], either["applied"]["modelKey"]) == ("loans", "loan-v3")
    assert [one["modelKey"] for one in either["applied"]["championChallenger"]["challengers"]] == ["loan-v4"]
    assert any("several families" in warning for warning in either["warnings"])


async def test_an_experiment_is_named_while_its_split_is_the_nodes(shop: Shop) -> None:
    ids = await deploy(shop, v3="champion", v4="challenger")
    split = {"trafficSplit": {"championPct": 80}, "challengers": [{"modelId": ids["v4"], "trafficPct": 20}]}
    await shop.create("experiments", key="spring", name="Spring", status="active", championModelId=ids["v3"], **split)
    arms = {"champion": {"modelKey": "v3", "weight": 80}, "challengers": [{"modelKey": "v4", "weight": 20}]}
    contest = {**arms, "experimentId": "spring"}
    await shop.flow("f", {"type": "score", "config": {"championChallenger": contest}}, publish=False)
    kept = await applied(shop)
    assert (kept["applied"]["championChallenger"]["experimentId"], kept["warnings"]) == ("spring", [])
    dropped = await applied(shop, championWeight=50, publish=True)
    assert "experimentId" not in dropped["applied"]["championChallenger"]
    assert any("spring" in warning for warning in dropped["warnings"])


async def test_what_cannot_be_applied_is_refused_and_changes_nothing(shop: Shop) -> None:
    await deploy(shop, v3="champion", v4="challenger")
    await shop.flow("f", SCORE, publish=False)
    await shop.flow("bare", publish=False)
    before = await shop.get("decision-flows/f")

    async def code(key: str = "f", /, **body: Any) -> tuple[int, str]:
        answer = await apply(shop, key, **body)
        return answer.status_code, answer.json()["error"]["code"]

    assert await code(family="nobody") == (422, "no_champion")
    assert await code("bare") == (422, "no_score_node")
    assert await code("nowhere") == (404, "NOT_FOUND")
    assert await code(rowVersion=before["rowVersion"] + 1) == (409, "CONFLICT")
    wrong: list[dict[str, Any]] = [{"championWeight": 0}, {"championWeight": 100}, {"championWeight": "80"}]
    for body in [*wrong, {"family": ""}, {"x": 1}]:
        assert await code(**body) == (400, "BAD_REQUEST"), body
    answer = await shop.api.viewer.post("/api/v1/decision-flows/f/apply-lifecycle", json={})
    assert answer.status_code == 403

    await shop.api.editor.put("/api/v1/algorithm-models/v4", json={"status": "paused"})
    refused = await apply(shop, publish=True)
    assert refused.status_code == 400
    path = "$.draftConfig.nodes[1].config.championChallenger.challengers[0].modelKey"
    assert [one["path"] for one in refused.json()["error"]["details"]] == [path]
    assert await shop.get("decision-flows/f") == before
    warned = await applied(shop)
    assert any("'v4' is not active" in warning for warning in warned["warnings"])


@pytest.mark.parametrize("body", [{}, {"family": "cards"}])
async def test_nothing_is_deployed(shop: Shop, body: dict[str, Any]) -> None:
    await shop.flow("f", SCORE, publish=False)
    answer = await apply(shop, **body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_champion")
    empty = await shop.api.editor.post("/api/v1/decision-flows/f/apply-lifecycle")
    assert empty.status_code == 422
