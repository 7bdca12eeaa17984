"""Trainings through the real ML worker: what they leave, what they refuse, and that scores agree everywhere."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from scipy.special import expit

from kaireon_application.errors import KaireonError, Unprocessable
from kaireon_application.learning.train_model import find_model_and_schema, planned
from kaireon_application.platform.job import JobCancelled, JobStatus
from kaireon_storage.ml_worker import MlWorker
from tests.ml_worker.conftest import PREDICTORS, ROWS, Process, StartMlWorker, Workshop, bank_rows


async def plan_of(workshop: Workshop, key: str) -> Any:
    model, schema = await find_model_and_schema(workshop.entities, workshop.tenant_id, key)
    return planned(uuid4(), workshop.tenant_id, model, schema)


async def ignore(_processed: int, _total: int | None) -> None:
    return None


async def test_health_tells_what_it_can_do(ml_worker: Process) -> None:
    async with ml_worker.client() as client:
        health = (await client.get("/health")).json()
    assert health["status"] == "ok"
    assert "gradient_boosted_training" in health["capabilities"]


async def test_a_training_leaves_an_immutable_version(workshop: Workshop, ml_worker: Process) -> None:
    await workshop.model("m1")
    first = await workshop.train("m1", ml_worker.url)
    assert (first.status, first.error) == (JobStatus.COMPLETED, None)
    assert first.result["version"] == 1
    metrics = first.result["metrics"]
    assert metrics["rows"] == ROWS
    assert metrics["validationRows"] == ROWS * 0.2
    assert 0.7 < metrics["auc"] <= 1
    model = await workshop.find("m1")
    assert model.body["version"] == 1
    assert model.body["trainingSamples"] == ROWS
    assert model.body["metrics"] == metrics
    assert model.body["lastTrainedAt"] is not None
    importances = {one["field"]: one["importance"] for one in model.body["predictors"]}
    assert sum(importances.values()) == pytest.approx(1)
    assert max(importances, key=lambda field: importances[field]) in ("Age", "default")
    again = await workshop.train("m1", ml_worker.url)
    assert again.result["version"] == 2
    versions = await workshop.versions.list(workshop.tenant_id, model.id)
    assert [version.version for version in versions] == [2, 1]
    assert versions[1].training["split"] == {"method": "primary_key", "field": None, "validation": 0.2}
    assert len((await workshop.find("m1")).body["metricsHistory"]) == 2


async def test_api_and_ml_worker_score_alike(workshop: Workshop, other: Workshop, ml_worker: Process) -> None:
    await workshop.model("m1")
    await other.model("m1")
    await workshop.model("only-here", modelType="scorecard", config={})
    await workshop.train("m1", ml_worker.url)
    rows = [*bank_rows(50), {}, {"Age": "40", "default": "strange", "owner": 1}, {"default": None}]
    here = await workshop.scoring.score_rows(workshop.tenant_id, "m1", rows)
    body = {"modelKey": "m1", "version": 1, "rows": rows}
    only_here: dict[str, Any] = {"modelKey": "only-here", "rows": [{}]}
    async with ml_worker.client() as client:
        there = await client.post("/score", json=body, headers={"x-tenant-id": str(workshop.tenant_id)})
        newest = await client.post("/score", json={**body, "version": None, "tenantId": workshop.tenant_key})
        unnamed = await client.post("/score", json=only_here)
        ambiguous = await client.post("/score", json=body)
    assert ambiguous.status_code == 400
    assert unnamed.json()["scores"] == [0.5]
    assert there.json()["scores"] == here.scores
    assert newest.json() == there.json()
    for row, score in zip(rows, here.scores, strict=True):
        alone = await workshop.scoring.score_row(workshop.tenant_id, "m1", row)
        assert alone.score == score
        contributions = sum(part.contribution for part in alone.explanations)
        assert alone.base_value + contributions == pytest.approx(alone.raw_score, abs=1e-6)


async def test_the_same_rows_and_seed_give_the_same_trees(workshop: Workshop, ml_worker: Process) -> None:
    config = {"numIterations": 20, "baggingFraction": 0.7, "featureFraction": 0.7}
    await workshop.model("m1", config=config)
    await workshop.model("m2", config={**config, "seed": 1})
    trainer = MlWorker(ml_worker.url)
    trained = [await trainer.train(await plan_of(workshop, key), ignore) for key in ("m1", "m1", "m2")]
    assert trained[0].state == trained[1].state
    assert trained[0].state["trees"] != trained[2].state["trees"]


async def test_a_time_field_orders_the_rows_before_the_split(workshop: Workshop, ml_worker: Process) -> None:
    await workshop.model("m1", config={"timeField": "contacted", "numIterations": 5})
    job = await workshop.train("m1", ml_worker.url)
    # The times run against the key, so the last fifth by time are the first rows by key.
    last = bank_rows()[: ROWS // 5]
    assert job.result["metrics"]["validationPositives"] == sum(row["Y"] == "yes" for row in last)


REFUSED_AT_ONCE: list[tuple[dict[str, Any], str]] = [
    ({"targetField": "gone"}, "unknown_target"),
    ({"targetField": None}, "unknown_target"),
    ({"targetSchemaKey": "gone"}, "unknown_schema"),
    ({"targetSchemaKey": None}, "unknown_schema"),
    ({"predictors": []}, "no_predictors"),
    ({"predictors": [{"field": "Age", "selected": False}]}, "no_predictors"),
    ({"predictors": [{"field": "age"}]}, "unknown_predictor"),
    ({"predictors": [{"field": "note"}]}, "unknown_predictor"),
    ({"predictors": [{"field": "Y"}]}, "unknown_predictor"),
    ({"config": {"timeField": "gone"}}, "unknown_time_field"),
]


@pytest.mark.parametrize(("fields", "code"), REFUSED_AT_ONCE, ids=str)
async def test_what_the_definition_shows_is_refused_at_once(
    workshop: Workshop, fields: dict[str, Any], code: str
) -> None:
    await workshop.model("m1", **fields)
    with pytest.raises(Unprocessable) as caught:
        await workshop.train("m1", None)
    assert caught.value.code == code


REFUSED_BY_ROWS: list[tuple[dict[str, Any], str]] = [
    ({"targetField": "never"}, "one_class"),
    ({"config": {"positiveValue": "Yes"}}, "one_class"),
    ({"targetField": "rarely"}, "too_few_positives"),
    ({"predictors": [{"field": "flat"}]}, "constant_features"),
]


@pytest.mark.parametrize("model_type", ["gradient_boosted", "scorecard"])
@pytest.mark.parametrize(("fields", "code"), REFUSED_BY_ROWS, ids=str)
async def test_what_only_the_rows_show_fails_the_job(
    workshop: Workshop, ml_worker: Process, fields: dict[str, Any], code: str, model_type: str
) -> None:
    if model_type == "scorecard" and code == "constant_features":
        return  # a scorecard learns from no features
    await workshop.model("m1", **{"config": {}, **fields, "modelType": model_type})
    job = await workshop.train("m1", ml_worker.url)
    assert (job.status, job.error["code"]) == (JobStatus.FAILED, code)
    assert (await workshop.find("m1")).body["version"] == 0


async def test_without_an_ml_worker_the_job_waits_for_one(workshop: Workshop, start_ml_worker: StartMlWorker) -> None:
    await workshop.model("m1")
    running = start_ml_worker()
    running.process.kill()
    running.process.wait()
    job = await workshop.train("m1", running.url)
    assert (job.status, job.error["code"], job.attempts) == (JobStatus.QUEUED, "UNAVAILABLE", 1)


async def test_a_scorecard_is_measured_and_left_alone(workshop: Workshop) -> None:
    rules = [
        {"id": "old", "field": "Age", "operator": "gte", "value": 50, "points": 20},
        {"id": "bad", "field": "customer.default", "operator": "eq", "value": "yes", "points": -30},
        {"id": "elsewhere", "field": "offer.tier", "operator": "eq", "value": "gold", "points": 5},
    ]
    before = await workshop.model("m1", modelType="scorecard", config={"rules": rules}, predictors=[])
    job = await workshop.train("m1", None)
    assert job.status == JobStatus.COMPLETED, job.error
    metrics = job.result["metrics"]
    assert metrics["auc"] > 0.7
    assert sum(group["rows"] for group in metrics["calibration"]) == ROWS
    after = await workshop.find("m1")
    assert after.body["config"] == before.body["config"]
    assert after.body["version"] == 1


async def test_a_job_that_runs_again_leaves_no_second_version(workshop: Workshop, ml_worker: Process) -> None:
    model = await workshop.model("m1")
    job = await workshop.train("m1", ml_worker.url)
    # As after a crash between the version's commit and the job's.
    async with workshop.database.system_transaction() as connection:
        await connection.execute(
            "UPDATE jobs SET status = 'queued', lease_token = NULL, leased_until = NULL WHERE id = %s", (job.id,)
        )
    again = await workshop.run(job.id, None)
    assert (again.status, again.result) == (JobStatus.COMPLETED, job.result)
    assert len(await workshop.versions.list(workshop.tenant_id, model.id)) == 1


async def test_cancelling_ends_the_training(workshop: Workshop, ml_worker: Process) -> None:
    await workshop.model("m1", config={"numIterations": 10_000, "earlyStoppingRounds": 0, "numLeaves": 255})
    plan = await plan_of(workshop, "m1")

    async def cancel(processed: int, _total: int | None) -> None:
        if processed > 0:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        await MlWorker(ml_worker.url).train(plan, cancel)
    deadline = time.monotonic() + 30
    async with ml_worker.client() as client:
        while (await client.get(f"/trainings/{plan.training_id}")).is_success:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_a_token_guards_everything_but_health(workshop: Workshop, start_ml_worker: StartMlWorker) -> None:
    await workshop.model("m1")
    running = start_ml_worker("a-secret")
    plan = await plan_of(workshop, "m1")
    with pytest.raises(KaireonError, match="ML_WORKER_TOKEN"):
        await MlWorker(running.url).train(plan, ignore)
    trained = await MlWorker(running.url, "a-secret").train(plan, ignore)
    assert [feature["name"] for feature in trained.state["features"]] == list(PREDICTORS)
    async with httpx.AsyncClient(base_url=running.url) as client:
        assert (await client.post("/score", json={})).status_code == 403
        assert (await client.get("/health")).status_code == 200


BAD_CALLS: list[tuple[str, dict[str, Any], int]] = [
    ("/train", {}, 400),
    ("/train", {"modelType": "scorecard"}, 400),
    ("/score", {"modelKey": "gone", "rows": []}, 404),
    ("/score", {"modelKey": "m1", "rows": []}, 409),
    ("/score", {"modelKey": "m1", "rows": "x"}, 400),
]


@pytest.mark.parametrize(("path", "body", "status"), BAD_CALLS, ids=str)
async def test_bad_calls(workshop: Workshop, ml_worker: Process, path: str, body: dict[str, Any], status: int) -> None:
    await workshop.model("m1")
    async with ml_worker.client() as client:
        answer = await client.post(path, json=body, headers={"x-tenant-id": str(workshop.tenant_id)})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


async def test_only_gradient_boosted_models_are_trained_there(workshop: Workshop, ml_worker: Process) -> None:
    await workshop.model("m1", modelType="scorecard", config={})
    async with ml_worker.client() as client:
        answer = await client.post("/train", content=msgspec.json.encode(await plan_of(workshop, "m1")))
    assert answer.status_code == 400


async def test_probabilities_come_true_and_explanations_keep_the_log_odds(
    workshop: Workshop, ml_worker: Process
) -> None:
    for method in ("platt", "isotonic", "none"):
        config = {"numIterations": 40, "calibration": method, "classWeight": {"positive": 20}}
        await workshop.model(method, config=config)
        assert (await workshop.train(method, ml_worker.url)).error is None
    rows = bank_rows(40)
    scored = {
        method: [await workshop.scoring.score_row(workshop.tenant_id, method, row) for row in rows]
        for method in ("platt", "isotonic", "none")
    }
    for method, answers in scored.items():
        for answer in answers:
            parts = sum(part.contribution for part in answer.explanations)
            assert answer.base_value + parts == pytest.approx(answer.raw_score, abs=1e-6)
            assert (answer.score == pytest.approx(float(expit(answer.raw_score)))) == (method == "none")
    errors = {key: (await workshop.find(key)).body["metrics"]["calibrationError"] for key in scored}
    assert max(errors["platt"], errors["isotonic"]) < errors["none"]
    model = await workshop.find("platt")
    (version,) = await workshop.versions.list(workshop.tenant_id, model.id)
    assert version.training["calibration"]["method"] == "platt"
    assert version.training["heldOut"]["rows"] == ROWS * 0.16


async def test_a_constrained_field_only_raises_the_score(workshop: Workshop, ml_worker: Process) -> None:
    constraints = {"income": 1, "offer.price": -1, "Age": 0}
    await workshop.model("free", config={"numIterations": 60})
    await workshop.model("held", config={"numIterations": 60, "monotoneConstraints": constraints})
    rises = dict[str, bool]()
    for key in ("free", "held"):
        await workshop.train(key, ml_worker.url)
        rows = [{**bank_rows(1)[0], "income": income} for income in range(20_000, 80_000, 500)]
        scores = (await workshop.scoring.score_rows(workshop.tenant_id, key, rows)).scores
        rises[key] = scores == sorted(scores)
    assert rises == {"free": False, "held": True}


@pytest.mark.parametrize("constraints", [{"default": 1}, {"gone": 1}], ids=str)
async def test_a_constraint_needs_a_numeric_predictor(workshop: Workshop, constraints: dict[str, int]) -> None:
    await workshop.model("m1", config={"monotoneConstraints": constraints})
    with pytest.raises(Unprocessable, match="monotoneConstraints"):
        await workshop.train("m1", None)


async def test_balanced_classes_raise_the_rarer_one(workshop: Workshop, ml_worker: Process) -> None:
    means = dict[str, float]()
    for key, weight in (("plain", None), ("balanced", "balanced")):
        await workshop.model(key, config={"numIterations": 40, "calibration": "none", "classWeight": weight})
        metrics = (await workshop.train(key, ml_worker.url)).result["metrics"]
        groups = metrics["calibration"]
        means[key] = sum(group["rows"] * group["meanScore"] for group in groups) / metrics["validationRows"]
    positives = sum(row["Y"] == "yes" for row in bank_rows()) / ROWS
    assert abs(means["balanced"] - 0.5) < abs(means["plain"] - 0.5)
    assert means["plain"] == pytest.approx(positives, abs=0.08)
