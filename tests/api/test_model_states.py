"""States written by hand: checked, scored with at once, in a flow too, and counted as a new generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_models import MODELS, create

if TYPE_CHECKING:
    from tests.api.shop import Shop

LOGISTIC = {
    "weights": {"credit_score": 0.005, "income": 0.00002, "age": 0.01, "segment=Gold": 0.5},
    "bias": -4,
}
CUSTOMER = {"credit_score": 760, "income": 95000, "age": 38, "segment": "Gold"}
BAYESIAN = {
    "priors": {"positive": 60, "negative": 40},
    "likelihoods": {"segment": {"positive": {"Gold": 50}, "negative": {"Gold": 10, "Silver": 30}}},
}


async def test_a_written_state_scores_at_once(shop: Shop) -> None:
    await create(shop.api.editor, key="l", modelType="logistic_regression", modelState=LOGISTIC)
    answer = (await shop.api.viewer.post(f"{MODELS}/l/score", json={"attributes": CUSTOMER})).json()
    assert answer["score"] == pytest.approx(0.930, abs=5e-4)
    contributions = sum(one["contribution"] for one in answer["explanations"])
    assert answer["baseValue"] + contributions == pytest.approx(answer["rawScore"], abs=1e-6)
    assert "confidence" not in answer
    many = (await shop.api.viewer.post(f"{MODELS}/l/score", json={"rows": [{}, CUSTOMER]})).json()
    assert many["scores"][1] == answer["score"]
    await create(shop.api.editor, key="b", modelType="bayesian", modelState=BAYESIAN)
    counted = (await shop.api.viewer.post(f"{MODELS}/b/score", json={"attributes": {"segment": "Gold"}})).json()
    assert counted["score"] == pytest.approx(60 / 40 * (51 / 62) / (11 / 42) / (1 + 60 / 40 * (51 / 62) / (11 / 42)))
    assert counted["confidence"] == pytest.approx(0.1**0.5)


async def test_written_trees_score_at_once(shop: Shop) -> None:
    stump = {
        "split_feature": "credit_score",
        "threshold": 700,
        "left_child": {"leaf_value": -0.5},
        "right_child": {"leaf_value": 1.5},
    }
    model = await create(shop.api.editor, key="t", modelType="gradient_boosted", modelState={"trees": [stump]})
    answer = (await shop.api.viewer.post(f"{MODELS}/t/score", json={"attributes": CUSTOMER})).json()
    assert (answer["rawScore"], answer["score"]) == (pytest.approx(1.5), pytest.approx(0.8176, abs=5e-5))
    assert answer["baseValue"] + answer["explanations"][0]["contribution"] == pytest.approx(1.5)
    again = await shop.api.editor.put(f"{MODELS}/t", json={"modelState": model["modelState"]})
    assert again.status_code == 200
    bad = await shop.api.editor.put(f"{MODELS}/t", json={"modelState": {"trees": [{**stump, "left_child": 3}]}})
    assert bad.status_code == 400
    assert bad.json()["error"]["details"][0]["path"] == "$.modelState.trees[0].left_child"


async def test_a_new_state_takes_the_place_of_the_old_one(shop: Shop) -> None:
    model = await create(shop.api.editor, key="l", modelType="linear_regression", modelState={"weights": {"x": 2}})
    assert model["learningGeneration"] == 0
    named = await shop.api.editor.put(f"{MODELS}/l", json={"name": "L"})
    assert (named.json()["learningGeneration"], named.json()["modelState"]) == (0, {"weights": {"x": 2}})
    changed = await shop.api.editor.put(f"{MODELS}/l", json={"modelState": {"weights": {"x": 3}}})
    assert (changed.status_code, changed.json()["learningGeneration"]) == (200, 1)
    answer = (await shop.api.viewer.post(f"{MODELS}/l/score", json={"attributes": {"x": 5}})).json()
    assert answer["score"] == 15
    assert (await shop.get("algorithm-models/l"))["modelState"] == {"weights": {"x": 3}}


BAD_STATES: list[tuple[str, dict[str, Any], str]] = [
    ("logistic_regression", {"bias": 1}, "$.modelState.weights"),
    ("logistic_regression", {"weights": {"a": "x"}, "bias": None}, "$.modelState.bias"),
    ("linear_regression", {"weights": {}, "surprise": 1}, "$.modelState.surprise"),
    ("bayesian", {"priors": {"positive": 1}}, "$.modelState.priors.negative"),
    ("bayesian", {**BAYESIAN, "binEdges": {"segment": [2, 1]}}, "$.modelState.binEdges.segment"),
    ("bayesian", {**BAYESIAN, "binEdges": {"segment": [1]}}, "$.modelState.likelihoods.segment.positive.Gold"),
]


@pytest.mark.parametrize(("model_type", "state", "path"), BAD_STATES, ids=str)
async def test_a_bad_state_is_refused_with_its_path(
    shop: Shop, model_type: str, state: dict[str, Any], path: str
) -> None:
    body = {"name": "M", "modelType": model_type, "modelState": state}
    answer = await shop.api.editor.post(MODELS, json=body)
    assert answer.status_code == 400
    assert path in [problem["path"] for problem in answer.json()["error"]["details"]], answer.text
    await create(shop.api.editor, key="m", modelType=model_type)
    assert (await shop.api.editor.put(f"{MODELS}/m", json={"modelState": state})).status_code == 400


BAD_CONFIGS: list[tuple[str, dict[str, Any], str]] = [
    ("bayesian", {"laplaceSmoothingAlpha": 0}, "$.config.laplaceSmoothingAlpha"),
    ("bayesian", {"binEdges": {"x": [1, 1]}}, "$.config.binEdges.x"),
    ("logistic_regression", {"solver": "magic"}, "$.config.solver"),
    ("logistic_regression", {"learningRat": 0.1}, "$.config.learningRat"),
    ("linear_regression", {"epochs": 5}, "$.config.epochs"),
    ("linear_regression", {"l2": -1}, "$.config.l2"),
]


@pytest.mark.parametrize(("model_type", "config", "path"), BAD_CONFIGS, ids=str)
async def test_a_bad_config_is_refused_with_its_path(
    shop: Shop, model_type: str, config: dict[str, Any], path: str
) -> None:
    answer = await shop.api.editor.post(MODELS, json={"name": "M", "modelType": model_type, "config": config})
    assert answer.status_code == 400
    assert path in [problem["path"] for problem in answer.json()["error"]["details"]], answer.text


async def test_a_written_state_drives_a_flow_and_its_replay(shop: Shop) -> None:
    model = await create(
        shop.api.editor,
        key="l",
        modelType="logistic_regression",
        status="active",
        modelState={"weights": {"rich": 1, "offer.priority": 0.02}, "bias": -2},
    )
    promoted = await shop.api.editor.post(f"{MODELS}/{model['id']}/promote", json={"toStatus": "shadow"})
    assert promoted.status_code == 200
    await shop.flow("f", {"type": "score", "config": {"method": "propensity", "modelKey": "l"}}, {"type": "rank"})
    decision = await shop.recommend(decisionFlowKey="f", attributes={"rich": 1})
    first = decision["decisions"][0]
    offers = [{"rich": 1, "offer.priority": 90}]
    alone = (await shop.api.viewer.post(f"{MODELS}/l/score", json={"rows": offers})).json()["scores"]
    assert (first["offerKey"], first["score"]) == ("gold", pytest.approx(alone[0], abs=1e-12))
    assert "degradedScoring" not in decision or not decision["degradedScoring"]
    changed = await shop.api.editor.put(f"{MODELS}/l", json={"modelState": {"weights": {"rich": 9}}})
    assert changed.status_code == 200
    replay = await shop.api.editor.post(f"/api/v1/decision-traces/{decision['recommendationId']}/replay")
    assert replay.json()["identical"], replay.text
