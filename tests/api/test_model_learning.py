"""Model cards, and forgetting what was learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_model_states import BAYESIAN
from tests.api.test_models import MODELS, create

if TYPE_CHECKING:
    from tests.api.conftest import Clients


async def test_a_reset_keeps_what_was_learnt_as_a_version_and_forgets_it(api: Clients) -> None:
    await create(
        api.editor,
        key="b",
        modelType="bayesian",
        status="active",
        modelState=BAYESIAN,
        metrics={"auc": 0.9},
    )
    answer = await api.editor.post(f"{MODELS}/b/reset-learning")
    assert answer.status_code == 200, answer.text
    model = answer.json()
    assert (model["status"], model["modelState"], model["metrics"]) == ("draft", {}, {})
    assert (model["trainingSamples"], model["lastTrainedAt"], model["learningGeneration"]) == (0, None, 1)
    (version,) = model["versions"]
    assert (version["version"], version["metrics"], version["training"]) == (
        1,
        {"auc": 0.9},
        {"source": "reset_learning"},
    )
    scored = (await api.viewer.post(f"{MODELS}/b/score", json={"attributes": {"segment": "Gold"}})).json()
    assert (scored["score"], scored["rawScore"]) == (0.5, 0)
    again = (await api.editor.post(f"{MODELS}/b/reset-learning")).json()
    assert (len(again["versions"]), again["learningGeneration"]) == (1, 2)
    audited = (await api.admin.get("/api/v1/audit-logs", params={"entityType": "algorithm_model"})).json()
    assert "reset_learning" in {entry["action"] for entry in audited["logs"]}


async def test_who_may_reset_what(api: Clients) -> None:
    await create(api.editor, key="s")
    service = {"modelType": "external_endpoint", "config": {"endpoint": "https://ml.example.com/score"}}
    await create(api.editor, key="e", status="active", **service)
    for key in ("s", "e"):
        refused = await api.editor.post(f"{MODELS}/{key}/reset-learning")
        assert (refused.status_code, refused.json()["error"]["details"][0]["path"]) == (400, "$")
    assert (await api.viewer.get(f"{MODELS}/e")).json()["status"] == "active"
    assert (await api.viewer.post(f"{MODELS}/s/reset-learning")).status_code == 403
    assert (await api.editor.post(f"{MODELS}/nothing/reset-learning")).status_code == 404


@pytest.mark.parametrize("model_type", ["scorecard", "bayesian", "gradient_boosted", "thompson_bandit", "neural_cf"])
async def test_every_model_has_a_card(api: Clients, model_type: str) -> None:
    name = "A | B <script>"
    await create(
        api.editor,
        key="m",
        name=name,
        modelType=model_type,
        targetField="y",
        targetSchemaKey="bank",
        predictors=[{"field": "age", "importance": 0.2}, {"field": "income", "importance": 0.8}],
        metrics={"auc": 0.55, "lift": [{"decile": 1, "rows": 5, "positiveRate": 0.5, "lift": 2.5}]},
    )
    await api.editor.post(f"{MODELS}/m/promote", json={"toStatus": "shadow"})
    card = (await api.viewer.get(f"{MODELS}/m/card")).json()
    assert (card["model"]["key"], card["model"]["modelType"]) == ("m", model_type)
    assert [feature["field"] for feature in card["features"]] == ["income", "age"]
    assert card["intendedUse"]["predicts"] == "y of bank"
    assert [step["newStatus"] for step in card["lifecycle"]] == ["shadow"]
    assert any("0.550 is little better than chance" in limit for limit in card["limits"])
    answer = await api.viewer.get(f"{MODELS}/m/card", headers={"Accept": "text/markdown"})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith("# A \\| B &lt;script>\n")
    assert "| 1 | 5 | 0.5000 | 2.5000 |" in answer.text
    assert "| income | 0.8000 |  |" in answer.text


async def test_metrics_that_somebody_wrote_do_no_harm_to_the_card(api: Clients) -> None:
    metrics: dict[str, Any] = {
        "auc": "high",
        "rows": [1],
        "lift": {"a": 1},
        "calibration": [1, {"rows": {}}],
        "calibrationError": None,
    }
    await create(api.editor, key="m", modelType="onnx_imported", config={"monotoneConstraints": [1]}, metrics=metrics)
    for accept in ("application/json", "text/markdown"):
        assert (await api.viewer.get(f"{MODELS}/m/card", headers={"Accept": accept})).status_code == 200


async def test_an_unknown_model_has_no_card(api: Clients) -> None:
    assert (await api.viewer.get(f"{MODELS}/nothing/card")).status_code == 404
    assert (await api.anonymous.get(f"{MODELS}/nothing/card")).status_code == 401
