"""Models that learn from the features of decisions, over HTTP: an online learner, and Bayes that counts on."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_learners import bandit, until_published

if TYPE_CHECKING:
    from tests.api.shop import Shop

PREDICTORS = [{"field": "age"}, {"field": "plan"}, {"field": "member"}, {"field": "offer.priority"}]
ME: dict[str, Any] = {"age": 0.4, "plan": "pro", "member": True, "unused": 1}


async def learner(shop: Shop, model_type: str, **body: Any) -> None:
    await bandit(shop, "model", model_type, **{"predictors": PREDICTORS, **body})


async def decided(shop: Shop, customer_id: str = "c1", **attributes: Any) -> dict[str, Any]:
    return await shop.recommend(
        customer_id, decisionFlowKey="by-model", channel="email", attributes={**ME, **attributes}
    )


async def respond(shop: Shop, decision: dict[str, Any], key: str, outcome: str, rank: int = 1, **body: Any) -> None:
    answer = await shop.respond(
        key,
        customerId=decision["customerId"],
        recommendationId=decision["recommendationId"],
        rank=rank,
        outcome=outcome,
        **body,
    )
    assert answer.status_code in (200, 201), answer.text


async def state(shop: Shop) -> dict[str, Any]:
    return (await shop.get("algorithm-models/model"))["modelState"]


async def test_an_online_learner_takes_a_step_with_each_response(shop: Shop) -> None:
    known_weights = {"age": 0.5, "plan=pro": -0.2}
    written = {"weights": known_weights, "bias": 0.1}
    await learner(shop, "online_learner", config={"learningRate": 0.1}, modelState=written)
    first = await decided(shop)
    priority: float = (await shop.get(f"offers/{first['decisions'][0]['offerId']}"))["priority"]
    # The priority counts as it was in the decision, and so do the customer's attributes.
    await respond(shop, first, "k1", "click", attributes={"age": 99})
    await respond(shop, first, "k1", "click", attributes={"age": 99})

    x: dict[str, float] = {"age": 0.4, "plan=pro": 1.0, "member": 1.0, "offer.priority": priority}
    weights, bias = {"member": 0.0, "offer.priority": 0.0, **known_weights}, 0.1
    score = 1 / (1 + math.exp(-(bias + sum(weights[name] * value for name, value in x.items()))))
    assert first["decisions"][0]["propensity"] == pytest.approx(score, rel=1e-12)
    expected = {name: weights[name] + 0.1 * (1 - score) * value for name, value in x.items()}
    known = await state(shop)
    assert known["weights"] == pytest.approx(expected, rel=1e-12)
    assert known["bias"] == pytest.approx(bias + 0.1 * (1 - score), rel=1e-12)
    then = await decided(shop)
    assert then["decisions"][0]["propensity"] > first["decisions"][0]["propensity"]
    attributes = {**ME, "offer": {"priority": priority}}
    answer = (
        await shop.api.viewer.post("/api/v1/algorithm-models/model/score", json={"attributes": attributes})
    ).json()
    total = answer["baseValue"] + sum(one["contribution"] for one in answer["explanations"])
    assert total == pytest.approx(answer["rawScore"], abs=1e-9)
    assert then["decisions"][0]["propensity"] == pytest.approx(answer["score"], rel=1e-12)


async def test_a_cold_online_learner_gives_even_odds(shop: Shop) -> None:
    await learner(shop, "online_learner")

    assert [one["propensity"] for one in (await decided(shop))["decisions"]] == [0.5, 0.5, 0.5]


async def test_responses_to_no_decision_teach_bandits_only(shop: Shop) -> None:
    await learner(shop, "online_learner")

    answer = await shop.respond("k1", creativeId="gold-mail", outcome="click")

    assert answer.status_code == 201
    assert await state(shop) == {"weights": {}, "bias": 0.0}


async def test_steps_over_two_processes_are_taken_one_after_the_other(shop: Shop, second: Shop) -> None:
    await learner(shop, "online_learner", predictors=[{"field": "age"}], config={"learningRate": 0.05})
    await until_published(second, "by-model")
    apps = (shop, second)
    decisions = [await decided(apps[place % 2], f"c{place}", age=1.0) for place in range(40)]

    await asyncio.gather(
        *(respond(apps[(place + 1) % 2], one, f"k{place}", "click") for place, one in enumerate(decisions))
    )
    await asyncio.gather(*(respond(apps[place % 2], one, f"k{place}", "click") for place, one in enumerate(decisions)))

    # All steps are the same, so that their order does not matter: forty of them, no more and no fewer.
    weight = bias = 0.0
    for _ in decisions:
        step = 0.05 * (1 - 1 / (1 + math.exp(-(weight + bias))))
        weight, bias = weight + step, bias + step
    known = await state(shop)
    assert (known["weights"], known["bias"]) == (pytest.approx({"age": weight}), pytest.approx(bias))
    rows = await shop.rows(
        "SELECT (state ->> 'updates')::int AS taken FROM learned_weights WHERE tenant_id = %(tenant_id)s"
    )
    assert rows == [{"taken": 40}]


async def test_extreme_features_break_nothing(shop: Shop) -> None:
    await learner(shop, "online_learner", config={"learningRate": 1})
    for place, age in enumerate((1e308, -1e308, 1e-320, 2**53, "x" * 5000, None, [1], {"a": 1})):
        decision = await decided(shop, age=age)
        await respond(shop, decision, f"k{place}", ("click", "dismiss")[place % 2])

    assert all(math.isfinite(weight) for weight in (await state(shop))["weights"].values())


async def test_bayes_counts_on_with_each_response(shop: Shop) -> None:
    written = {
        "priors": {"positive": 10, "negative": 30},
        "likelihoods": {"plan": {"positive": {"pro": 7, "free": 3}, "negative": {"pro": 10, "free": 20}}},
    }
    await learner(shop, "bayesian", modelState=written, config={"binEdges": {"age": [0.3, 0.6]}})
    first = await decided(shop)
    await respond(shop, first, "k1", "click")
    await respond(shop, first, "k2", "dismiss", rank=2)

    known = await state(shop)
    assert known["priors"] == {"positive": 11.0, "negative": 31.0}
    assert known["likelihoods"]["plan"]["positive"] == {"pro": 8.0, "free": 3.0}
    assert known["likelihoods"]["age"] == {"positive": {"1": 1.0}, "negative": {"1": 1.0}}
    assert known["likelihoods"]["member"]["positive"] == {"true": 1.0}
    assert (await decided(shop))["decisions"][0]["propensity"] != first["decisions"][0]["propensity"]


async def test_untrained_bayes_leaves_the_evidence_to_speak(shop: Shop) -> None:
    await learner(shop, "bayesian", learnMode="continuous")
    for place in range(20):
        await shop.respond(f"k{place}", creativeId="gold-mail", outcome="click")

    decision = await decided(shop)

    assert "degradedScoring" not in decision
    assert decision["decisions"][0]["offerKey"] == "gold"
    assert decision["decisions"][0]["propensity"] == pytest.approx(1.0)
    # One of each class, and it speaks for itself.
    await respond(shop, decision, "yes", "click")
    await respond(shop, decision, "no", "dismiss", rank=2)
    assert (await decided(shop))["decisions"][0]["propensity"] < 1


@pytest.mark.parametrize("model_type", ["online_learner", "bayesian"])
async def test_decisions_replay_whatever_was_learnt_since(shop: Shop, model_type: str) -> None:
    await learner(shop, model_type, learnMode="continuous")
    for place, outcome in enumerate(("click", "dismiss")):
        await respond(shop, await decided(shop), f"k{place}", outcome)
    decision = await decided(shop)
    await respond(shop, decision, "later", "dismiss")

    path = f"/api/v1/decision-traces/{decision['recommendationId']}/replay"
    assert (await shop.api.viewer.post(path)).json() == {"identical": True, "differences": []}
