"""Results of experiments over HTTP: every outcome counts for the variant of the decision that it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kaireon_core.experimentation.always_valid import compare_always
from kaireon_core.experimentation.bucket import bucket_of
from kaireon_core.experimentation.proportion import Proportion, wilson_interval
from kaireon_core.experimentation.two_proportions import compare_once
from tests.api.test_experiments import contest, two_models

if TYPE_CHECKING:
    from tests.api.shop import Shop

CUSTOMERS = [f"c{number}" for number in range(60)]


async def spring(shop: Shop, holdout: int = 0, **fields: Any) -> dict[str, Any]:
    """Create an experiment over two models, and a flow that runs it."""
    await two_models(shop)
    split = {"trafficSplit": {"championPct": 70}, "challengers": [{"modelId": "high", "trafficPct": 30}]}
    body = {"key": "spring", "name": "Spring", "status": "active", "championModelId": "low", **split, **fields}
    experiment = await shop.create("experiments", holdoutPercent=holdout, **body)
    await shop.flow("contest", {"type": "match_creatives"}, contest(experimentId="spring"))
    return experiment


def variant_of(customer: str, holdout: int = 0) -> str:
    if bucket_of(customer, "spring:__holdout__") < holdout:
        return "__holdout__"
    return "low" if bucket_of("spring", customer) < 70 else "high"


async def decide_and_convert(shop: Shop) -> dict[str, set[str]]:
    """Decide once or twice for every customer, have some convert one to three times, and return who, by variant."""
    converted: dict[str, set[str]] = {"low": set(), "high": set()}
    for place, customer in enumerate(CUSTOMERS):
        decisions = [await shop.recommend(customer, limit=1, channel="web") for _ in range(1 + place % 2)]
        variant = variant_of(customer)
        if place % (2 if variant == "high" else 5) == 0:
            for number in range(1 + place % 3):
                target = {"recommendationId": decisions[-1]["recommendationId"], "rank": 1}
                answer = await shop.respond(f"{customer}-{number}", customerId=customer, outcome="convert", **target)
                assert answer.status_code == 201, answer.text
            converted[variant].add(customer)
    return converted


async def test_results_count_by_variant(shop: Shop) -> None:
    experiment = await spring(shop)
    # Traces are sampled, results are not.
    await shop.api.admin.put("/api/v1/tenant-settings", json={"decisionTraceSampleRate": 0})
    converted = await decide_and_convert(shop)
    stranger = await shop.respond("x", customerId="c1", creativeId="gold-web", outcome="convert")
    assert stranger.status_code == 201

    found = await shop.get("experiments/spring/results")
    assert found == await shop.get(f"experiments/{experiment['id']}/results")
    assert (found["experimentId"], found["experimentKey"]) == (experiment["id"], "spring")
    assert found["status"] == "active"
    assert [(one["variant"], one["part"]) for one in found["variants"]] == [("low", "champion"), ("high", "challenger")]
    for one in found["variants"]:
        mine = [place for place, customer in enumerate(CUSTOMERS) if variant_of(customer) == one["variant"]]
        mine_converted = [place for place in mine if CUSTOMERS[place] in converted[one["variant"]]]
        proportion = Proportion(len(mine_converted), len(mine))
        assert (one["customers"], one["convertedCustomers"]) == (len(mine), len(mine_converted))
        assert one["decisions"] == sum(1 + place % 2 for place in mine)
        assert one["impressions"] == one["decisions"]
        assert one["positiveOutcomes"] == sum(1 + place % 3 for place in mine_converted)
        assert one["rate"] == pytest.approx(proportion.rate)
        assert (one["ciLower"], one["ciUpper"]) == pytest.approx(wilson_interval(proportion, 0.95))


async def test_results_compare_the_challenger_with_the_champion(shop: Shop) -> None:
    await spring(shop, promoteThreshold=0.1)
    await decide_and_convert(shop)

    found = await shop.get("experiments/spring/results")

    low, high = (Proportion(one["convertedCustomers"], one["customers"]) for one in found["variants"])
    once, always = compare_once(high, low, 0.95), compare_always(high, low, 0.95, 0.1)
    assert once is not None
    assert always is not None
    uplift = high.successes / high.trials - low.successes / low.trials
    assert found["comparisons"] == [
        {
            "variant": "high",
            "baseline": "low",
            "uplift": pytest.approx(uplift),
            "relativeUplift": pytest.approx(uplift * low.trials / low.successes),
            "zScore": pytest.approx(once.z_score),
            "pValue": pytest.approx(once.p_value),
            "ciLower": pytest.approx(once.ci_lower),
            "ciUpper": pytest.approx(once.ci_upper),
            "significant": once.p_value < 0.05,
            "sequential": {
                "pValue": pytest.approx(always.p_value),
                "ciLower": pytest.approx(always.ci_lower),
                "ciUpper": pytest.approx(always.ci_upper),
                "significant": always.p_value < 0.05,
            },
        }
    ]


async def test_an_experiment_holds_customers_out(shop: Shop) -> None:
    await spring(shop, holdout=40)

    answer = await shop.api.viewer.post("/api/v1/decide", json={"customerIds": CUSTOMERS})

    expected = {customer: variant_of(customer, 40) for customer in CUSTOMERS}
    assert len(set(expected.values())) == 3
    for result in answer.json()["results"]:
        variant = expected[result["customerId"]]
        assert result["experimentAssignment"] == {"experimentKey": "spring", "variant": variant}
        assert result.get("controlGroup") is (True if variant == "__holdout__" else None)
        propensity = {"low": 0.2, "high": 0.8, "__holdout__": None}[variant]
        assert {item["propensity"] for item in result["decisions"]} == {propensity}
        trace = await shop.get(f"decision-traces/{result['recommendationId']}")
        assert trace["controlGroup"] is (variant == "__holdout__")
        replayed = await shop.api.viewer.post(f"/api/v1/decision-traces/{result['recommendationId']}/replay")
        assert replayed.json() == {"identical": True, "differences": []}
    found = await shop.get("experiments/spring/results")
    assert [(one["variant"], one["part"], one["customers"]) for one in found["variants"]] == [
        (variant, part, list(expected.values()).count(variant))
        for variant, part in (("low", "champion"), ("high", "challenger"), ("__holdout__", "holdout"))
    ]
    assert [(one["variant"], one["baseline"]) for one in found["comparisons"]] == [
        ("high", "low"),
        ("low", "__holdout__"),
        ("high", "__holdout__"),
    ]
    again = await shop.recommend(next(one for one, variant in expected.items() if variant == "__holdout__"))
    assert again["controlGroup"] is True


async def test_results_of_an_experiment_that_nobody_saw(shop: Shop) -> None:
    await spring(shop)
    found = await shop.get("experiments/spring/results")
    for one in found["variants"]:
        assert (one["customers"], one["decisions"], one["rate"], one["ciLower"]) == (0, 0, None, None)
    (comparison,) = found["comparisons"]
    assert (comparison["uplift"], comparison["pValue"], comparison["sequential"]) == (None, None, None)
    assert comparison["significant"] is False
    missing = await shop.api.viewer.get("/api/v1/experiments/nowhere/results")
    assert missing.status_code == 404


async def test_results_are_a_tenants_own(shop: Shop, other_shop: Shop) -> None:
    await spring(shop)
    await spring(other_shop)
    await shop.recommend("c1")
    theirs = await other_shop.get("experiments/spring/results")
    assert {one["decisions"] for one in theirs["variants"]} == {0}
