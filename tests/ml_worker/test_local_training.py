"""Trainings in the worker itself: bayesian, logistic and linear models on the rows of a schema."""

from __future__ import annotations

from typing import Any

import pytest

from kaireon_application.errors import Unprocessable
from kaireon_application.platform.job import JobStatus
from tests.ml_worker.conftest import PREDICTORS, ROWS, Process, Workshop, bank_rows

CLASSIFIERS = ("bayesian", "logistic_regression")
REGRESSION: dict[str, Any] = {
    "modelType": "linear_regression",
    "targetField": "income",
    "predictors": [{"field": "Age"}, {"field": "default"}, {"field": "owner"}],
}
MEASURED = {
    "auc",
    "aucStandardError",
    "logLoss",
    "brier",
    "accuracy",
    "calibrationError",
    "calibration",
    "lift",
    "rows",
    "positives",
    "validationRows",
    "validationPositives",
}


@pytest.mark.parametrize("model_type", CLASSIFIERS)
async def test_a_training_leaves_a_version_that_scores(workshop: Workshop, model_type: str) -> None:
    await workshop.model("m1", modelType=model_type, config={}, modelState=_written(model_type))
    job = await workshop.train("m1", None)
    assert (job.status, job.error) == (JobStatus.COMPLETED, None)
    metrics = job.result["metrics"]
    assert metrics.keys() == MEASURED
    assert (metrics["rows"], metrics["validationRows"]) == (ROWS, ROWS // 5)
    last = bank_rows()[-ROWS // 5 :]
    assert metrics["validationPositives"] == sum(row["Y"] == "yes" for row in last)
    assert 0.8 < metrics["auc"] <= 1
    assert [(one["decile"], one["rows"]) for one in metrics["lift"]] == [(number, 20) for number in range(1, 11)]
    model = await workshop.find("m1")
    assert (model.body["version"], model.body["modelState"], model.body["learningGeneration"]) == (1, {}, 1)
    importances = {one["field"]: one["importance"] for one in model.body["predictors"]}
    assert sum(importances.values()) == pytest.approx(1)
    assert min(importances, key=lambda field: importances[field]) in ("owner", "income")


def _written(model_type: str) -> dict[str, Any]:
    if model_type == "bayesian":
        return {"priors": {"positive": 1, "negative": 1}}
    return {"weights": {}}


async def test_the_same_rows_give_the_same_scores(workshop: Workshop) -> None:
    rows = [*bank_rows(50), {}, {"Age": "40", "default": "strange", "owner": 1}, {"default": None}]
    for model_type, config in (
        ("bayesian", {}),
        ("logistic_regression", {}),
        ("logistic_regression", {"epochs": 3, "seed": 5}),
        ("linear_regression", {}),
    ):
        fields: dict[str, Any] = REGRESSION if model_type == "linear_regression" else {}
        given = {**fields, "modelType": model_type, "config": config}
        scores = list[list[float]]()
        for number in (1, 2):
            key = f"{model_type}-{len(config)}-{number}"
            await workshop.model(key, **given)
            assert (await workshop.train(key, None)).error is None
            scores.append((await workshop.scoring.score_rows(workshop.tenant_id, key, rows)).scores)
        assert scores[0] == pytest.approx(scores[1], abs=1e-9)


async def test_descent_ends_near_where_newton_does(workshop: Workshop) -> None:
    await workshop.model("newton", modelType="logistic_regression", config={"l2": 0.01})
    config = {"l2": 0.01, "solver": "sgd", "learningRate": 0.8, "epochs": 200}
    await workshop.model("descent", modelType="logistic_regression", config=config)
    metrics = [(await workshop.train(key, None)).result["metrics"] for key in ("newton", "descent")]
    assert metrics[0]["logLoss"] == pytest.approx(metrics[1]["logLoss"], abs=0.01)
    assert metrics[0]["auc"] == pytest.approx(metrics[1]["auc"], abs=0.01)


async def test_a_regression_learns_a_number(workshop: Workshop) -> None:
    await workshop.model("m1", **{**REGRESSION, "targetField": "offer.price"}, config={})
    await workshop.model(
        "m2", modelType="linear_regression", targetField="rarely", predictors=[{"field": "id"}], config={}
    )
    metrics = (await workshop.train("m1", None)).result["metrics"]
    assert metrics.keys() == {"rmse", "mae", "r2", "rows", "validationRows"}
    assert 2 < metrics["rmse"] < 4
    assert (await workshop.train("m2", None)).error is None


@pytest.mark.parametrize("model_type", CLASSIFIERS)
async def test_a_reference_of_what_was_seen_is_kept(workshop: Workshop, model_type: str) -> None:
    await workshop.model("m1", modelType=model_type, config={})
    await workshop.train("m1", None)
    model = await workshop.find("m1")
    (version,) = await workshop.versions.list(workshop.tenant_id, model.id)
    reference = version.training["reference"]
    assert set(reference["features"]) == set(PREDICTORS)
    age, default = reference["features"]["Age"], reference["features"]["default"]
    rows = bank_rows()
    assert age["kind"] == "numeric"
    assert len(age["edges"]) == len(age["counts"]) + 1 <= 21
    assert sum(age["counts"]) + age["nulls"] == ROWS
    assert default["counts"] == {
        value: sum(row["default"] == value for row in rows) for value in ("yes", "no", "unknown")
    }
    assert default["nulls"] == sum(row["default"] is None for row in rows)
    assert sum(reference["score"]["counts"]) == ROWS


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"targetField": "never"}, "one_class"),
    ({"targetField": "rarely"}, "too_few_positives"),
    ({"predictors": [{"field": "flat"}]}, "constant_features"),
]


@pytest.mark.parametrize("model_type", CLASSIFIERS)
@pytest.mark.parametrize(("fields", "code"), REFUSED, ids=str)
async def test_rows_that_support_no_model_fail_the_job(
    workshop: Workshop, fields: dict[str, Any], code: str, model_type: str
) -> None:
    await workshop.model("m1", modelType=model_type, config={}, **fields)
    job = await workshop.train("m1", None)
    assert (job.status, job.error["code"] if job.error else None) == (JobStatus.FAILED, code)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"targetField": "flat"}, "constant_target"),
        ({"targetField": "Y"}, "too_few_rows"),
        ({"predictors": [{"field": "flat"}]}, "constant_features"),
    ],
    ids=str,
)
async def test_rows_that_support_no_regression_fail_the_job(
    workshop: Workshop, fields: dict[str, Any], code: str
) -> None:
    await workshop.model("m1", **{**REGRESSION, **fields}, config={})
    job = await workshop.train("m1", None)
    assert (job.status, job.error["code"] if job.error else None) == (JobStatus.FAILED, code)


TASTES: dict[str, Any] = {
    "modelType": "neural_cf",
    "predictors": [],
    "config": {"userField": "default", "itemField": "owner", "epochs": 30, "learningRate": 0.1},
}


async def test_tastes_are_learnt_from_ids_alone(workshop: Workshop) -> None:
    await workshop.model("m1", **TASTES)
    await workshop.model("m2", **TASTES)
    job = await workshop.train("m1", None)
    assert (job.status, job.error) == (JobStatus.COMPLETED, None)
    assert job.result["metrics"].keys() == MEASURED
    assert 0.6 < job.result["metrics"]["auc"] < 0.95
    await workshop.train("m2", None)
    rows = [*bank_rows(20), {}, {"default": "stranger"}]
    scores = [(await workshop.scoring.score_rows(workshop.tenant_id, key, rows)).scores for key in ("m1", "m2")]
    assert scores[0] == scores[1]
    answer = await workshop.scoring.score_row(workshop.tenant_id, "m1", rows[0])
    assert {part.field for part in answer.explanations} == {"default", "owner"}


async def test_ids_that_the_schema_lacks_are_refused_at_once(workshop: Workshop) -> None:
    await workshop.model("m1", modelType="neural_cf", config={})
    with pytest.raises(Unprocessable) as caught:
        await workshop.train("m1", None)
    assert caught.value.code == "unknown_predictor"


@pytest.mark.parametrize("model_type", [*CLASSIFIERS, "linear_regression", "neural_cf"])
async def test_api_and_ml_worker_score_alike(workshop: Workshop, ml_worker: Process, model_type: str) -> None:
    fields = {"linear_regression": REGRESSION, "neural_cf": TASTES}.get(model_type, {"modelType": model_type})
    await workshop.model("m1", **{"config": {}, **fields})
    await workshop.train("m1", None)
    rows = [*bank_rows(50), {}, {"Age": "40", "default": "strange", "owner": 1}, {"default": None}]
    here = await workshop.scoring.score_rows(workshop.tenant_id, "m1", rows)
    body = {"modelKey": "m1", "version": 1, "rows": rows, "tenantId": str(workshop.tenant_id)}
    async with ml_worker.client() as client:
        there = await client.post("/score", json=body)
    assert there.json() == {"scores": here.scores, "modelVersion": 1}
    for row, score in zip(rows, here.scores, strict=True):
        alone = await workshop.scoring.score_row(workshop.tenant_id, "m1", row)
        assert alone.score == score
        contributions = sum(part.contribution for part in alone.explanations)
        assert alone.base_value + contributions == pytest.approx(alone.raw_score, abs=1e-6)
