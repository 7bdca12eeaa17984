"""Off-policy evaluation over HTTP: from uploaded logs and from stored decisions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kaireon_core.learning.beta_order import largest_probabilities

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients
    from tests.api.shop import Shop

PATH = "/api/v1/off-policy-evaluations"
RATES = {"a": 0.1, "b": 0.3, "c": 0.2}
HALF = {"type": "table", "by": "slot", "probabilities": {"1": {"a": 0.5, "b": 0.5}}}


def rows(count: int = 3_000, seed: int = 0, **fields: Any) -> list[dict[str, Any]]:
    """Return rows of a policy that shows a, b and c with 0.2, 0.3 and 0.5, rewarded by `RATES`."""
    random = np.random.default_rng(seed)
    chances = dict(zip(RATES, (0.2, 0.3, 0.5), strict=True))
    actions = random.choice(list(chances), count, p=list(chances.values())).tolist()
    rewarded = random.random(count)
    return [
        {
            "decisionId": f"d{number}",
            "customerId": f"c{number}",
            "slot": "1",
            "action": action,
            "selectionProbability": chances[action],
            "reward": float(rewarded[number] < RATES[action]),
            **fields,
        }
        for number, action in enumerate(actions)
    ]


async def stored(api: Clients, logged: list[dict[str, Any]]) -> str:
    content = "\n".join(json.dumps(row) for row in logged)
    answer = await api.editor.post(
        "/api/v1/decision-logs", content=content, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["logId"]


async def evaluated(api: Clients, **body: Any) -> dict[str, Any]:
    answer = await api.editor.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def model(api: Clients, key: str, model_type: str, **fields: Any) -> dict[str, Any]:
    body = {"key": key, "name": key, "modelType": model_type, "status": "active", **fields}
    answer = await api.editor.post("/api/v1/algorithm-models", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The two agree but for rounding."""
    for name in ("ips", "snips", "dr"):
        assert found["estimators"][name] == pytest.approx(expected["estimators"][name], rel=1e-9)
    assert found["overlap"] == pytest.approx(expected["overlap"], rel=1e-9)
    assert found["n"] == expected["n"]


def problem(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["details"][0]["path"]


async def test_a_table_is_evaluated_and_kept(api: Clients) -> None:
    logged = rows()
    log_id = await stored(api, logged)
    answer = await api.editor.post(PATH, json={"logId": log_id, "target": HALF})
    found = answer.json()
    assert set(found) == {"n", "estimators", "effectiveSampleSize", "overlap"}
    assert set(found["estimators"]) == {"ips", "snips", "dr"}
    assert set(found["overlap"]) == {"maxWeight", "meanWeight", "targetMassNotInLog"}
    weights = np.array([{"a": 2.5, "b": 0.5 / 0.3, "c": 0.0}[row["action"]] for row in logged])
    rewards = np.array([row["reward"] for row in logged])
    assert found["n"] == 3_000
    assert found["estimators"]["ips"]["value"] == pytest.approx(float((weights * rewards).mean()))
    assert found["estimators"]["snips"]["value"] == pytest.approx(float((weights * rewards).sum() / weights.sum()))
    assert found["effectiveSampleSize"] == pytest.approx(float(weights.sum() ** 2 / (weights**2).sum()))
    assert found["overlap"] == {
        "maxWeight": 2.5,
        "meanWeight": pytest.approx(float(weights.mean())),
        "targetMassNotInLog": 0.0,
    }
    for one in found["estimators"].values():
        assert set(one) == {"value", "standardError", "ciLower", "ciUpper"}
        assert one["ciLower"] < 0.2 < one["ciUpper"]
    kept = (await api.viewer.get(answer.headers["location"])).json()
    assert kept["result"] == found
    assert kept["source"] == {"logId": log_id}
    assert kept["target"] == HALF
    assert (kept["modelId"], kept["flowId"]) == (None, None)
    assert (await api.viewer.get(PATH)).json()["data"] == [kept]
    assert (await api.viewer.get(f"{PATH}/{log_id}")).status_code == 404


async def test_clipping_is_reported_only_when_asked_for(api: Clients) -> None:
    log_id = await stored(api, rows())
    found = await evaluated(api, logId=log_id, target=HALF, clip=2.0)
    assert found["clipping"]["clip"] == 2.0
    assert found["clipping"]["clippedRows"] > 0
    assert found["overlap"]["maxWeight"] == 2.5


async def test_a_log_without_slots_takes_a_bare_table(api: Clients) -> None:
    log_id = await stored(api, [{**row, "slot": None} for row in rows()])
    bare = await evaluated(api, logId=log_id, target={"type": "table", "probabilities": {"a": 0.5, "b": 0.5}})
    named = await evaluated(api, logId=log_id, target=HALF)
    assert bare == named


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"target": {"type": "table", "probabilities": {"1": {"a": 0.7, "b": 0.4}}}}, "$.target.probabilities.1"),
        ({"target": {"type": "table", "probabilities": {"1": {"a": 1.2}}}}, "$.target.probabilities.1.a"),
        ({"target": {"type": "table", "probabilities": {"1": {"a": -0.2}}}}, "$.target.probabilities.1.a"),
        ({"target": {"type": "table", "probabilities": {"2": {"a": 1.0}}}}, "$.target.probabilities.2"),
        ({"target": {"type": "table", "probabilities": {"1": {"a": 1}, "2": {"a": 1}}}}, "$.target.probabilities.2"),
        ({"target": {"type": "table", "probabilities": {"1": {"a": 0.5}, "b": 0.5}}}, "$.target.probabilities"),
        ({"target": {"type": "table", "probabilities": {}}}, "$.target.probabilities"),
        ({"target": {"type": "table", "by": "user", "probabilities": {"1": {"a": 1}}}}, "$.target.by"),
        ({"target": {"type": "oracle"}}, "$.target.type"),
        ({"target": {"type": "model", "modelKey": "m", "policy": {"type": "softmax", "temperature": 0}}},
         "$.target.policy.temperature"),
        ({"target": {"type": "model", "modelKey": "m", "policy": {"type": "epsilon", "epsilon": 2}}},
         "$.target.policy.epsilon"),
        ({"confidence": 1.0}, "$.confidence"),
        ({"confidence": 95}, "$.confidence"),
        ({"clip": 0}, "$.clip"),
        ({"logId": "7"}, "$.logId"),
        ({"logId": None}, "$"),
        ({"traces": {"flowKey": "f", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}}, "$"),
        ({"logId": None, "traces": {"flowKey": "f", "from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00Z"}},
         "$.traces.from"),
        ({"logId": None, "traces": {"flowKey": "f", "from": "2026-01-03T00:00:00Z", "to": "2026-01-02T00:00:00Z"}},
         "$.traces.to"),
        ({"surprise": 1}, "$.surprise"),
    ],
)  # fmt: skip
async def test_wrong_requests_are_refused_with_their_path(api: Clients, change: dict[str, Any], path: str) -> None:
    log_id = await stored(api, rows(200))
    answer = await api.editor.post(PATH, json={"logId": log_id, "target": HALF, **change})
    assert problem(answer, 400) == path


async def test_unknown_logs_models_and_flows_are_not_found(api: Clients) -> None:
    nothing = "00000000-0000-4000-8000-000000000000"
    log_id = await stored(api, rows(200))
    asked = {"logId": nothing, "target": HALF}
    assert problem(await api.editor.post(PATH, json=asked), 404) == "$.logId"
    asked = {"logId": log_id, "target": {"type": "model", "modelKey": "none"}}
    assert problem(await api.editor.post(PATH, json=asked), 404) == "$.target.modelKey"
    between = {"flowKey": "none", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    assert problem(await api.editor.post(PATH, json={"traces": between, "target": HALF}), 404) == "$.traces.flowKey"
    assert (await api.editor.post("/api/v1/algorithm-models/none/evaluate", json={})).status_code == 404
    assert (await api.editor.post("/api/v1/decision-flows/none/evaluate", json={})).status_code == 404


async def test_too_little_overlap_and_too_few_rewards_are_422(api: Clients) -> None:
    log_id = await stored(api, rows())
    elsewhere = {"type": "table", "probabilities": {"1": {"a": 0.9, "z": 0.1}}}
    answer = await api.editor.post(PATH, json={"logId": log_id, "target": elsewhere})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "insufficient_overlap")
    small = await stored(api, rows(90))
    answer = await api.editor.post(PATH, json={"logId": small, "target": HALF})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "insufficient_overlap")
    unrewarded = await stored(api, rows(reward=0))
    answer = await api.editor.post(PATH, json={"logId": unrewarded, "target": HALF})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "insufficient_rewards")
    assert (await api.viewer.get(PATH)).json()["data"] == []


async def test_viewers_read_and_do_not_evaluate(api: Clients) -> None:
    assert (await api.viewer.post(PATH, json={"target": HALF})).status_code == 403
    assert (await api.viewer.get(PATH)).status_code == 200


async def test_a_thompson_bandit_is_evaluated_by_its_exact_probabilities(api: Clients) -> None:
    arms = {"a": {"alpha": 8, "beta": 40}, "b": {"alpha": 20, "beta": 60}, "c": {"alpha": 12, "beta": 44}}
    created = await model(api, "bandit", "thompson_bandit", modelState={"arms": arms})
    log_id = await stored(api, rows())
    answer = await api.editor.post("/api/v1/algorithm-models/bandit/evaluate", json={"logId": log_id})
    assert answer.status_code == 200, answer.text
    alphas, betas = (np.array([float(arm[name]) for arm in arms.values()]) for name in ("alpha", "beta"))
    shares = dict(zip(arms, largest_probabilities(alphas, betas).tolist(), strict=True))
    table = {"type": "table", "probabilities": {"1": {name: min(share, 1.0) for name, share in shares.items()}}}
    exact = await evaluated(api, logId=log_id, target=table)
    found = answer.json()
    for name, one in exact["estimators"].items():
        assert found["estimators"][name]["value"] == pytest.approx(one["value"], rel=1e-9)
    kept = (await api.viewer.get(PATH, params={"model": "bandit"})).json()["data"]
    assert [one["modelId"] for one in kept] == [created["id"]]
    newest = await api.app.services.off_policy.evaluations.newest(api.tenant.tenant_id, kept[0]["modelId"])
    assert newest is not None
    assert str(newest.id) == kept[0]["id"]


async def test_an_epsilon_greedy_bandit_explores_in_its_estimate(api: Clients) -> None:
    arms = {
        "a": {"totalReward": 1, "pulls": 10},
        "b": {"totalReward": 3, "pulls": 10},
        "c": {"totalReward": 2, "pulls": 10},
    }
    config = {"epsilon": 0.3, "decayRate": 0}
    await model(api, "greedy", "epsilon_greedy", modelState={"arms": arms}, config=config)
    log_id = await stored(api, rows())
    found = await evaluated(api, logId=log_id, target={"type": "model", "modelKey": "greedy"})
    table = {"type": "table", "probabilities": {"1": {"a": 0.1, "b": 0.8, "c": 0.1}}}
    assert_same(found, await evaluated(api, logId=log_id, target=table))
    eligible = await stored(api, [{**row, "eligible": ["a", "c"]} for row in rows() if row["action"] != "b"])
    found = await evaluated(api, logId=eligible, target={"type": "model", "modelKey": "greedy"})
    table = {"type": "table", "probabilities": {"1": {"a": 0.15, "c": 0.85}}}
    assert_same(found, await evaluated(api, logId=eligible, target=table))


async def test_a_scorecard_chooses_by_attributes_and_offers(api: Clients, shop: Shop) -> None:
    """Customers of segment x get gold, the others silver: what its rules say, for keys and ids of offers alike."""
    offers = {one["key"]: one["id"] for one in (await shop.get("offers"))["data"]}
    rules = [
        {"field": "offer.key", "operator": "eq", "value": "silver", "points": 10},
        {"field": "segment", "operator": "eq", "value": "x", "points": 0},
        {"field": "offer.priority", "operator": "gte", "value": 80, "points": 5},
    ]
    config = {"baseScore": 0, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": rules}
    await model(api, "card", "scorecard", config=config)
    random = np.random.default_rng(1)
    logged = [
        {
            "decisionId": f"d{number}",
            "action": offers["gold"] if random.random() < 0.5 else "silver",
            "selectionProbability": 0.5,
            "reward": float(random.random() < 0.3),
            "attributes": {"segment": "x"},
        }
        for number in range(1_000)
    ]
    log_id = await stored(api, logged)
    found = await evaluated(api, logId=log_id, target={"type": "model", "modelKey": "card"})
    table = {"type": "table", "probabilities": {"silver": 1.0}}
    assert_same(found, await evaluated(api, logId=log_id, target=table))
    policy = {"type": "softmax", "temperature": 0.05}
    soft = await evaluated(api, logId=log_id, target={"type": "model", "modelKey": "card", "policy": policy})
    share = 1 / (1 + np.exp((0.05 - 0.10) / 0.05))
    assert soft["overlap"]["maxWeight"] == pytest.approx(2 * share)
    by_key = {"type": "table", "probabilities": {offers["silver"]: 1.0}}
    assert_same(found, await evaluated(api, logId=log_id, target=by_key))


async def test_a_model_that_cannot_score_is_a_conflict(api: Clients) -> None:
    await model(api, "trees", "gradient_boosted")
    log_id = await stored(api, rows(200))
    answer = await api.editor.post("/api/v1/algorithm-models/trees/evaluate", json={"logId": log_id})
    assert answer.status_code == 409


async def test_a_service_is_not_asked_about_the_past(api: Clients) -> None:
    await model(api, "service", "external_endpoint", config={"endpoint": "https://models.example.com/score"})
    log_id = await stored(api, rows(200))
    answer = await api.editor.post("/api/v1/algorithm-models/service/evaluate", json={"logId": log_id})
    assert answer.status_code == 409
    assert "service" in answer.json()["error"]["message"]


def around_now() -> dict[str, str]:
    now = datetime.now(UTC)
    return {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=1)).isoformat()}


async def logged_shop(shop: Shop, count: int = 320) -> None:
    """Decide for many customers with a flow that explores, and have those who saw silver click."""
    explore = {"type": "rank", "config": {"method": "explore", "temperature": 40.0}}
    await shop.flow("logging", {"type": "score", "config": {"method": "priority_weighted"}}, explore)
    for number in range(count):
        customer = f"c{number}"
        decided = await shop.recommend(customer, decisionFlowKey="logging", limit=2)
        for item in decided["decisions"]:
            if item["offerKey"] == "silver":
                answer = await shop.respond(
                    f"k{number}", customerId=customer, recommendationId=decided["recommendationId"], rank=item["rank"]
                )
                assert answer.status_code == 201, answer.text


async def test_stored_decisions_are_a_log(shop: Shop) -> None:
    await logged_shop(shop)
    offers = {one["key"]: one["id"] for one in (await shop.get("offers"))["data"]}
    slot = dict.fromkeys(("gold", "silver", "bronze"), 1 / 3)
    table = {"type": "table", "probabilities": {"1": slot, "2": slot}}
    between = {"flowKey": "logging", **around_now()}
    found = await evaluated(shop.api, traces=between, target=table)
    assert found["n"] == 640
    assert found["estimators"]["snips"]["value"] == pytest.approx(1 / 3, abs=0.1)
    by_id = {"type": "table", "probabilities": {key: {offers[key]: 1 / 3 for key in slot} for key in ("1", "2")}}
    assert_same(found, await evaluated(shop.api, traces=between, target=by_id))
    empty = {**between, "to": between["from"], "from": "2020-01-01T00:00:00Z"}
    answer = await shop.api.editor.post(PATH, json={"traces": empty, "target": table})
    assert answer.status_code == 400


async def test_a_flow_is_evaluated_by_deciding_stored_decisions_again(shop: Shop) -> None:
    await logged_shop(shop)
    flow = {"type": "rank", "config": {"method": "topN"}}
    await shop.flow("best", {"type": "score", "config": {"method": "priority_weighted"}}, flow)
    body = {"traces": {"flowKey": "logging", **around_now()}}
    answer = await shop.api.editor.post("/api/v1/decision-flows/best/evaluate", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    # Gold first and silver second, always: half of the slots earn a click.
    assert found["n"] == 640
    assert found["overlap"]["meanWeight"] == pytest.approx(1.0, abs=0.6)
    assert_about_half(found["estimators"]["dr"])
    same = await shop.api.editor.post("/api/v1/decision-flows/logging/evaluate", json={"traces": around_now()})
    assert same.status_code == 200, same.text
    # A click for every customer who saw silver, which is two of three at two slots of three offers.
    clicks = sum(one["interactionType"] == "click" for one in await interactions(shop))
    assert same.json()["estimators"]["snips"]["value"] == pytest.approx(clicks / 640, abs=0.08)
    kept = await shop.get("off-policy-evaluations", flow="best")
    assert [one["target"] for one in kept["data"]] == [{"type": "flow", "flowKey": "best", "version": None}]


def assert_about_half(found: dict[str, Any]) -> None:
    """What was explored is chance: one interval in twenty does not hold the truth."""
    assert found["value"] == pytest.approx(0.5, abs=0.1)
    assert found["ciLower"] <= found["value"] <= found["ciUpper"]


async def interactions(shop: Shop) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await shop.get("interaction-history", limit=200, **({"cursor": cursor} if cursor else {}))
        found += page["data"]
        cursor = page["pagination"]["nextCursor"]
        if cursor is None:
            return found


async def test_a_model_is_evaluated_on_stored_decisions(shop: Shop) -> None:
    await logged_shop(shop)
    rules = [{"field": "offer.key", "operator": "eq", "value": "silver", "points": 50}]
    config = {"baseScore": 0, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": rules}
    await model(shop.api, "silver-first", "scorecard", config=config)
    body = {"traces": {"flowKey": "logging", **around_now()}, "policy": {"type": "greedy"}}
    answer = await shop.api.editor.post("/api/v1/algorithm-models/silver-first/evaluate", json=body)
    assert answer.status_code == 200, answer.text
    # Silver stands first and is clicked; whatever comes second is not.
    assert_about_half(answer.json()["estimators"]["dr"])
    soft = {**body, "policy": {"type": "epsilon", "epsilon": 0.2}}
    answer = await shop.api.editor.post("/api/v1/algorithm-models/silver-first/evaluate", json=soft)
    assert answer.status_code == 200, answer.text
