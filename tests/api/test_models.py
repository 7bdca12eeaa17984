"""Algorithm models over HTTP: CRUD and scoring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients

MODELS = "/api/v1/algorithm-models"
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "golden" / "scorecard.json").read_text())
TYPES = (
    "scorecard",
    "bayesian",
    "logistic_regression",
    "linear_regression",
    "gradient_boosted",
    "thompson_bandit",
    "epsilon_greedy",
    "online_learner",
    "neural_cf",
    "external_endpoint",
    "onnx_imported",
)


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(MODELS, json={"name": "Model", "modelType": "scorecard", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_new_model_is_an_untrained_draft(api: Clients) -> None:
    model = await create(api.editor, key="m1", name="Premium", config=CASES[0]["config"])
    expected: dict[str, Any] = {
        "key": "m1",
        "name": "Premium",
        "family": "Premium",
        "status": "draft",
        "registryStatus": "draft",
        "version": 0,
        "trainingSamples": 0,
        "lastTrainedAt": None,
        "metrics": {},
        "predictors": [],
        "rowVersion": 1,
        "config": CASES[0]["config"],
    }
    assert {name: model[name] for name in expected} == expected
    found = (await api.viewer.get(f"{MODELS}/m1")).json()
    assert found == {**model, "versions": []}
    assert (await api.viewer.get(f"{MODELS}/{model['id']}")).json() == found


@pytest.mark.parametrize("model_type", TYPES)
async def test_every_type_can_be_registered(api: Clients, model_type: str) -> None:
    config = {"endpoint": "https://ml.example.com/score"} if model_type == "external_endpoint" else {}
    model = await create(api.editor, modelType=model_type, config=config)
    listed = (await api.viewer.get(MODELS, params={"modelType": model_type})).json()
    assert [one["id"] for one in listed["data"]] == [model["id"]]


BAD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"modelType": "oracle"}, "$.modelType"),
    ({"modelType": None}, "$.modelType"),
    (
        {"config": {"rules": [{"field": "x", "operator": "regex", "value": "a", "points": 1}]}},
        "$.config.rules[0].operator",
    ),
    ({"config": {"maxScore": 0}}, "$.config.maxScore"),
    ({"config": {"surprise": 1}}, "$.config.surprise"),
    ({"modelType": "gradient_boosted", "config": {"seed": -1}}, "$.config.seed"),
    ({"registryStatus": "champion"}, "$.registryStatus"),
    ({"outcomeWeights": {"click": 2}}, "$.outcomeWeights"),
    ({"predictors": [{"name": "x"}]}, "$.predictors[0]"),
    ({"key": "0b50f3ce-6a35-4d8c-8b1c-3f2f3d8a1c55"}, "$.key"),
]


@pytest.mark.parametrize(("fields", "path"), BAD_BODIES, ids=lambda value: str(value)[:50])
async def test_a_bad_model_is_refused_with_its_path(api: Clients, fields: dict[str, Any], path: str) -> None:
    answer = await api.editor.post(MODELS, json={"name": "M", "modelType": "scorecard", **fields})
    assert answer.status_code == 400
    assert any(problem["path"].startswith(path) for problem in answer.json()["error"]["details"]), answer.text
    assert (await api.viewer.get(MODELS)).json()["pagination"]["total"] == 0


async def test_a_change_of_type_is_refused_and_of_config_is_checked(api: Clients) -> None:
    await create(api.editor, key="m1")
    assert (await api.editor.put(f"{MODELS}/m1", json={"modelType": "bayesian"})).status_code == 400
    assert (await api.editor.put(f"{MODELS}/m1", json={"config": {"minScore": 100}})).status_code == 400
    changed = await api.editor.put(f"{MODELS}/m1", json={"config": {"baseScore": 80}, "rowVersion": 1})
    assert (changed.status_code, changed.json()["rowVersion"]) == (200, 2)
    assert (await api.editor.put(f"{MODELS}/m1", json={"name": "x", "rowVersion": 1})).status_code == 409


async def test_a_viewer_reads_and_scores_but_does_not_write(api: Clients) -> None:
    await create(api.editor, key="m1")
    assert (await api.viewer.post(f"{MODELS}/m1/score", json={"attributes": {}})).status_code == 200
    for path in ("", "/m1/train", "/m1/promote", "/nothing/promote"):
        assert (await api.viewer.post(MODELS + path, json={"wrong": 1})).status_code == 403


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_documented_scores(api: Clients, case: dict[str, Any]) -> None:
    await create(api.editor, key="m1", config=case["config"])
    answer = (await api.viewer.post(f"{MODELS}/m1/score", json={"attributes": case["attributes"]})).json()
    assert answer["score"] == pytest.approx(case["score"], abs=1e-12)
    assert answer["rawScore"] == case["raw"]
    assert [one["id"] for one in answer["explanations"] if one["matched"]] == case["matched"]
    contributions = sum(one["contribution"] for one in answer["explanations"])
    assert answer["baseValue"] + contributions == pytest.approx(case["raw"])
    rows: list[dict[str, Any]] = [{}, case["attributes"]]
    many = await api.viewer.post(f"{MODELS}/m1/score", json={"rows": rows})
    assert many.json()["scores"][1] == answer["score"]
    assert many.json()["modelVersion"] == answer["modelVersion"] == 0


BAD_SCORES: list[tuple[dict[str, Any], int]] = [
    ({}, 400),
    ({"attributes": {}, "rows": []}, 400),
    ({"rows": [1]}, 400),
    ({"rows": [{}] * 10_001}, 400),
    ({"attributes": {}, "extra": 1}, 400),
    ({"rows": []}, 200),
]


@pytest.mark.parametrize(("body", "status"), BAD_SCORES, ids=lambda value: str(value)[:30])
async def test_bodies_of_score(api: Clients, body: dict[str, Any], status: int) -> None:
    await create(api.editor, key="m1")
    assert (await api.viewer.post(f"{MODELS}/m1/score", json=body)).status_code == status


@pytest.mark.parametrize("model_type", ["bayesian", "logistic_regression"])
async def test_what_has_learnt_nothing_gives_even_odds(api: Clients, model_type: str) -> None:
    await create(api.editor, key="m1", modelType=model_type)
    answer = (await api.viewer.post(f"{MODELS}/m1/score", json={"attributes": {"income": 1}})).json()
    assert (answer["score"], answer["rawScore"], answer["baseValue"], answer["explanations"]) == (0.5, 0, 0, [])
    many = await api.viewer.post(f"{MODELS}/m1/score", json={"rows": [{}, {"income": 1}]})
    assert many.json() == {"scores": [0.5, 0.5], "modelVersion": 0}


@pytest.mark.parametrize("model_type", ["gradient_boosted", "linear_regression"])
async def test_a_model_that_cannot_score_yet_says_so(api: Clients, model_type: str) -> None:
    await create(api.editor, key="m1", modelType=model_type)
    answer = await api.viewer.post(f"{MODELS}/m1/score", json={"attributes": {}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")


async def test_an_unknown_model_is_404_before_its_body_is_looked_at(api: Clients) -> None:
    for action in ("score", "score-offer-set", "promote", "train"):
        answer = await api.editor.post(f"{MODELS}/nothing/{action}", json={"wrong": 1})
        assert answer.status_code == 404, answer.text


async def test_a_set_of_offers_is_scored_by_what_the_offers_are(api: Clients) -> None:
    rules = [
        {"id": "rich", "field": "income", "operator": "gte", "value": 50000, "points": 10},
        {"id": "dear", "field": "offer.priority", "operator": "gte", "value": 80, "points": 20},
        {"id": "tier", "field": "offer.tier", "operator": "eq", "value": "gold", "points": 5},
    ]
    await create(api.editor, key="m1", config={"normalization": "linear", "rules": rules})
    category = (await api.editor.post("/api/v1/categories", json={"name": "Cards"})).json()
    offers: dict[str, str] = {}
    for key, priority, more in (("a", 90, {"tier": "gold"}), ("b", 10, {}), ("c", 90, {})):
        body = {
            "key": key,
            "name": key.upper(),
            "status": "active",
            "priority": priority,
            "customFields": more,
            "categoryId": category["id"],
        }
        answer = await api.editor.post("/api/v1/offers", json=body)
        assert answer.status_code == 201, answer.text
        offers[answer.json()["id"]] = key
    url = f"{MODELS}/m1/score-offer-set"
    whole = (await api.viewer.post(url, json={"attributes": {"income": 60000}})).json()
    assert {offers[one["offerId"]]: one["score"] for one in whole["scores"]} == {"a": 0.85, "b": 0.6, "c": 0.8}
    by_category = (await api.viewer.post(url, json={"attributes": {"income": 60000}, "categoryId": "cards"})).json()
    assert by_category == whole
    chosen = (await api.viewer.post(url, json={"offerIds": ["c", "b"]})).json()
    assert [(offers[one["offerId"]], one["score"]) for one in chosen["scores"]] == [("c", 0.7), ("b", 0.5)]
    missing = await api.viewer.post(url, json={"offerIds": ["c", "zzz"]})
    assert (missing.status_code, missing.json()["error"]["details"][0]["path"]) == (404, "$.offerIds[1]")
