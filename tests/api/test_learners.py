"""Models that learn from responses, over HTTP: taught once per response, seen by the next decision."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.api.shop import Shop

MATCH = {"type": "match_creatives"}


async def bandit(shop: Shop, key: str = "bandit", model_type: str = "thompson_bandit", **body: Any) -> dict[str, Any]:
    """Create a model that may score, and a flow of its own that asks it."""
    model = await shop.create("algorithm-models", key=key, name=key, modelType=model_type, status="active", **body)
    answer = await shop.api.editor.post(f"/api/v1/algorithm-models/{key}/promote", json={"toStatus": "shadow"})
    assert answer.status_code == 200, answer.text
    await shop.flow(f"by-{key}", MATCH, {"type": "score", "config": {"method": "propensity", "modelKey": key}})
    return model


async def arms(shop: Shop, key: str = "bandit") -> dict[str, Any]:
    """Return what a bandit knows, by offer key."""
    state = (await shop.get(f"algorithm-models/{key}"))["modelState"]
    keys = {offer["id"]: offer["key"] for offer in (await shop.get("offers"))["data"]}
    return {keys[offer]: arm for offer, arm in state.get("arms", {}).items()}


async def teach(shop: Shop, key: str, offer: str, outcome: str = "click") -> None:
    answer = await shop.respond(key, creativeId=f"{offer}-mail", outcome=outcome)
    assert answer.status_code == 201, answer.text


async def until_published(shop: Shop, flow: str) -> None:
    """Wait until an application has heard of a flow."""
    body = {"customerId": "nobody", "decisionFlowKey": flow}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await shop.api.viewer.post("/api/v1/recommend", json=body)).status_code != 200:
            await asyncio.sleep(0.05)


async def test_a_response_teaches_a_thompson_bandit_once(shop: Shop) -> None:
    await bandit(shop)
    await teach(shop, "k1", "gold")
    await teach(shop, "k2", "gold", "dismiss")
    await teach(shop, "k3", "silver")

    again = await shop.respond("k1", creativeId="gold-mail", outcome="click")

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert await arms(shop) == {"gold": {"alpha": 2.0, "beta": 2.0}, "silver": {"alpha": 2.0, "beta": 1.0}}


async def test_a_bandit_begins_with_its_state_and_prior(shop: Shop) -> None:
    gold = (await shop.get("offers/gold"))["id"]
    await bandit(shop, config={"priorAlpha": 2, "priorBeta": 8}, modelState={"arms": {gold: {"alpha": 30, "beta": 70}}})
    await teach(shop, "k1", "gold")
    await teach(shop, "k2", "silver")

    assert await arms(shop) == {"gold": {"alpha": 31.0, "beta": 70.0}, "silver": {"alpha": 3.0, "beta": 8.0}}


async def test_outcome_weights_say_what_a_response_is_worth(shop: Shop) -> None:
    weights: dict[str, Any] = {"outcomeWeights": {"click": 0.5, "convert": 1, "dismiss": 0}}
    await bandit(shop, **weights)
    await bandit(shop, "greedy", "epsilon_greedy", **weights)

    for number, outcome in enumerate(("click", "convert", "dismiss", "impression")):
        await teach(shop, f"k{number}", "gold", outcome)

    assert await arms(shop) == {"gold": {"alpha": 2.75, "beta": 1.25}}
    assert await arms(shop, "greedy") == {"gold": {"totalReward": 1.5, "pulls": 2.0}}
    assert (await shop.get("algorithm-models/greedy"))["modelState"]["totalPulls"] == 2.0


async def test_only_active_models_that_are_not_archived_learn(shop: Shop) -> None:
    for key, status, registry in (("draft", "draft", None), ("paused", "paused", None), ("gone", "active", "archived")):
        model = {"key": key, "name": key, "modelType": "thompson_bandit", "status": status}
        await shop.create("algorithm-models", **model)
        if registry is not None:
            for step in ("shadow", registry):
                await shop.api.editor.post(f"/api/v1/algorithm-models/{key}/promote", json={"toStatus": step})
    await bandit(shop)
    await teach(shop, "k1", "gold")

    assert [await arms(shop, key) for key in ("draft", "paused", "gone")] == [{}, {}, {}]
    assert await arms(shop) == {"gold": {"alpha": 2.0, "beta": 1.0}}


async def test_what_is_learnt_is_seen_by_the_next_decision_of_every_process(shop: Shop, second: Shop) -> None:
    await bandit(shop, "greedy", "epsilon_greedy", config={"epsilon": 0})
    for offer in ("gold", "silver", "bronze"):
        await teach(shop, f"no-{offer}", offer, "dismiss")
    await until_published(second, "by-greedy")
    first = await second.recommend(decisionFlowKey="by-greedy", channel="email")
    await teach(shop, "yes", "bronze", "convert")

    then = await second.recommend(decisionFlowKey="by-greedy", channel="email")

    assert [one["propensity"] for one in first["decisions"]] == [-1.0, -1.0, -1.0]
    assert [(one["offerKey"], one["propensity"]) for one in then["decisions"]] == [
        ("bronze", 0.0),
        ("gold", -1.0),
        ("silver", -1.0),
    ]


@pytest.mark.parametrize("model_type", ["thompson_bandit", "epsilon_greedy"])
async def test_decisions_of_bandits_replay_whatever_was_learnt_since(shop: Shop, model_type: str) -> None:
    await bandit(shop, model_type=model_type)
    await teach(shop, "k1", "gold")
    decisions = [
        await shop.recommend(f"c{number}", decisionFlowKey="by-bandit", channel="email") for number in range(5)
    ]
    for number in range(5):
        await teach(shop, f"more{number}", "bronze")
    await shop.api.editor.put("/api/v1/algorithm-models/bandit", json={"config": {"name": "other"}})

    for decision in decisions:
        path = f"/api/v1/decision-traces/{decision['recommendationId']}/replay"
        answer = (await shop.api.viewer.post(path)).json()
        assert answer == {"identical": True, "differences": []}


async def test_a_written_state_forgets_what_was_learnt_before(shop: Shop) -> None:
    await bandit(shop)
    await teach(shop, "k1", "gold")
    gold = (await shop.get("offers/gold"))["id"]
    state = {"arms": {gold: {"alpha": 5, "beta": 5}}}

    answer = await shop.api.editor.put("/api/v1/algorithm-models/bandit", json={"modelState": state})

    assert answer.status_code == 200, answer.text
    assert await arms(shop) == {"gold": {"alpha": 5.0, "beta": 5.0}}
    await shop.flow("another")  # what is published includes every write before it
    await teach(shop, "k2", "gold")
    assert await arms(shop) == {"gold": {"alpha": 6.0, "beta": 5.0}}


async def test_scores_outside_of_decisions_are_expected_ones(shop: Shop) -> None:
    await bandit(shop)
    await teach(shop, "k1", "gold")
    gold = (await shop.get("offers/gold"))["id"]
    client, path = shop.api.viewer, "/api/v1/algorithm-models/bandit"

    known = (await client.post(f"{path}/score", json={"attributes": {"offerId": gold}})).json()
    unknown = (await client.post(f"{path}/score", json={"attributes": {}})).json()
    offers = (await client.post(f"{path}/score-offer-set", json={"offerIds": ["silver", "gold"]})).json()

    assert (known["score"], known["baseValue"], unknown["score"]) == (pytest.approx(2 / 3), 0.5, 0.5)
    assert known["explanations"][0]["description"] == "alpha 2, beta 1"
    assert known["baseValue"] + known["explanations"][0]["contribution"] == pytest.approx(known["rawScore"])
    assert [one["score"] for one in offers["scores"]] == [0.5, pytest.approx(2 / 3)]


async def test_many_writers_over_two_processes_lose_and_repeat_nothing(shop: Shop, second: Shop) -> None:
    await bandit(shop)
    await bandit(shop, "greedy", "epsilon_greedy")
    await second.recommend("somebody")
    keys = [f"k{number}" for number in range(300)]

    async def send(number: int) -> int:
        one = (shop, second)[number % 2]
        outcome = "click" if number % 3 else "dismiss"
        given = {"customerId": f"c{number % 7}", "creativeId": "gold-mail", "outcome": outcome}
        answer = await one.respond(keys[number], **given)
        # Every second one is sent again, through the other process.
        if number % 2:
            other = await (second, shop)[number % 2].respond(keys[number], **given)
            assert other.status_code == 200, other.text
        return answer.status_code

    answers = await asyncio.gather(*map(send, range(len(keys))))

    assert set(answers) == {201}
    assert await arms(shop) == {"gold": {"alpha": 201.0, "beta": 101.0}}
    assert await arms(shop, "greedy") == {"gold": {"totalReward": 100.0, "pulls": 300.0}}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("thompson_bandit", {"config": {"priorAlpha": 0}}, "$.config.priorAlpha"),
    ("thompson_bandit", {"config": {"epsilon": 0.1}}, "$.config.epsilon"),
    ("epsilon_greedy", {"config": {"epsilon": 1.5}}, "$.config.epsilon"),
    ("epsilon_greedy", {"config": {"decayRate": -1}}, "$.config.decayRate"),
    ("online_learner", {"config": {"learningRate": 0}}, "$.config.learningRate"),
    ("online_learner", {"config": {"learningRate": 2}}, "$.config.learningRate"),
    ("thompson_bandit", {"modelState": {"arms": {"x": {"alpha": -1, "beta": 1}}}}, "$.modelState.arms"),
    ("thompson_bandit", {"modelState": {"arms": {"x": {"alpha": 1}}}}, "$.modelState.arms"),
    ("epsilon_greedy", {"modelState": {"arms": {"x": {"totalReward": 1, "pulls": -1}}}}, "$.modelState.arms"),
    ("epsilon_greedy", {"modelState": {"surprise": 1}}, "$.modelState.surprise"),
    ("online_learner", {"modelState": {"weights": {"age": "x"}}}, "$.modelState.weights"),
]


@pytest.mark.parametrize(("model_type", "fields", "path"), WRONG)
async def test_what_no_learner_can_have_is_refused(
    shop: Shop, model_type: str, fields: dict[str, Any], path: str
) -> None:
    answer = await shop.api.editor.post(
        "/api/v1/algorithm-models", json={"name": "m", "modelType": model_type, **fields}
    )

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"][0]["path"].startswith(path)


async def test_a_drawn_answer_says_how_likely_it_was(shop: Shop) -> None:
    await bandit(shop)
    await teach(shop, "k1", "gold")

    answer = await shop.recommend(decisionFlowKey="by-bandit", channel="email")

    chances = [one["selectionProbability"] for one in answer["decisions"]]
    # Beta(2, 1) is above both of two uniform draws with probability 1/2, and above one of them with 2/3.
    first = 0.5 if answer["decisions"][0]["offerKey"] == "gold" else 0.25
    assert chances[0] == pytest.approx(first, abs=1e-9)
    assert chances[2] == pytest.approx(1.0, abs=1e-9)
    trace = await shop.get(f"decision-traces/{answer['recommendationId']}")
    assert [one["selectionProbability"] for one in trace["selectedOffers"]] == chances


async def test_a_probability_that_is_not_known_is_null(shop: Shop) -> None:
    await bandit(shop)
    score = {"type": "score", "config": {"method": "propensity", "modelKey": "bandit"}}
    await shop.flow("curious", MATCH, score, {"type": "rank", "config": {"method": "explore", "epsilon": 0.5}})

    answer = await shop.recommend(decisionFlowKey="curious", channel="email")

    assert [one["selectionProbability"] for one in answer["decisions"]] == [None, None, None]
    trace = await shop.get(f"decision-traces/{answer['recommendationId']}")
    assert [one["selectionProbability"] for one in trace["selectedOffers"]] == [None, None, None]
