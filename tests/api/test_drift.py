"""Drift over HTTP: snapshots compared at once, stored decisions compared by a job, and what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from kaireon_application.platform.job_runner import JobRunner
from kaireon_storage.postgres.jobs import PostgresJobStore
from kaireon_worker.queues.drift import drift_handlers
from kaireon_worker.settings import Settings as WorkerSettings

if TYPE_CHECKING:
    import httpx

    from kaireon_application.platform.job import Job, JobHandler, JobRun
    from tests.api.shop import Shop

AGES = list(range(20, 70))
REFERENCE = {
    "features": {
        "age": {"kind": "numeric", "edges": [20, 30, 40, 50, 60, 69], "counts": [10, 10, 10, 10, 10], "nulls": 0},
        "plan": {"kind": "categorical", "counts": {"basic": 25, "gold": 25}, "nulls": 0},
        "offer.priority": {"kind": "numeric", "edges": [0, 100], "counts": [50], "nulls": 0},
    },
    "score": {"edges": [0.2, 0.3, 0.4], "counts": [25, 25]},
}


async def model(shop: Shop, key: str = "young", **fields: Any) -> dict[str, Any]:
    """A scorecard that gives 0.2, and 0.1 more from 45 years on; gold customers get nothing for it."""
    rules = [
        {"id": "old", "field": "age", "operator": "gte", "value": 45, "points": 10},
        {"id": "plan", "field": "plan", "operator": "eq", "value": "gold", "points": 0},
    ]
    config = {"baseScore": 20, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": rules}
    body = {"modelType": "scorecard", "status": "active", "config": config, **fields}
    made = await shop.create("algorithm-models", key=key, name=key, **body)
    answer = await shop.api.admin.post(f"/api/v1/algorithm-models/{key}/promote", json={"toStatus": "shadow"})
    assert answer.status_code == 200, answer.text
    return made


async def trained(shop: Shop, model_id: str, reference: dict[str, Any] | None = None) -> None:
    """Store a version as a training would."""
    await shop.run(
        "INSERT INTO model_versions (tenant_id, model_id, version, model_type, state, training)"
        " VALUES (%(tenant_id)s, %(id)s, 1, 'scorecard', '{}', %(training)s)",
        id=model_id,
        training=Jsonb({"reference": reference or REFERENCE}),
    )


async def check(shop: Shop, key: str = "young", path: str = "models", **body: Any) -> dict[str, Any]:
    answer = await shop.api.editor.post(f"/api/v1/{path}/{key}/drift", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def decided(shop: Shop, flow: str, customers: list[dict[str, Any]]) -> None:
    for place, attributes in enumerate(customers):
        await shop.recommend(f"c{place}", decisionFlowKey=flow, attributes=attributes)


class _Nobody:
    """Nobody watches the jobs of these tests; their rows tell everything."""

    def started(self, job: Job) -> None: ...

    def ended(self, job: Job, outcome: str, error: BaseException | None) -> None: ...


async def _at_once(handler: JobHandler, run: JobRun) -> dict[str, Any]:
    return await handler(run)


async def run_job(shop: Shop, database_url: str, job_id: str) -> dict[str, Any]:
    """Run a job as the worker does, once, and return it."""
    settings = WorkerSettings.model_validate({"database_url": database_url})
    runner = JobRunner(PostgresJobStore(shop.database), drift_handlers(settings), _Nobody(), _at_once)
    await runner.run(shop.tenant_id, UUID(job_id))
    return await shop.get(f"jobs/{job_id}")


async def checked_by_job(shop: Shop, database_url: str, key: str = "young", **body: Any) -> dict[str, Any]:
    answer = await shop.api.editor.post(f"/api/v1/models/{key}/drift", json=body or None)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["jobId"]
    assert answer.json()["statusUrl"] == answer.headers["location"] == f"/api/v1/jobs/{job_id}"
    return await run_job(shop, database_url, job_id)


async def test_two_snapshots_are_compared_feature_by_feature(shop: Shop) -> None:
    made = await model(shop)
    reference = {"age": AGES, "plan": ["basic", "gold"] * 25, "gone": [1], "same": [True, None] * 25}
    current = {"age": [age + 30 for age in AGES], "plan": ["basic"] * 30 + ["gold"] * 20, "same": [True, None] * 25}
    found = await check(shop, reference=reference, current={**current, "new": [1]})

    assert (found["modelId"], found["version"], found["verdict"]) == (made["id"], 0, "alert")
    assert found["driftDetected"] is True
    assert (found["psiScore"], found["ksScore"], found["aucDelta"], found["score"]) == (None, None, None, None)
    age, plan, same = (found["features"][name] for name in ("age", "plan", "same"))
    assert (age["kind"], age["severity"], age["ksMethod"]) == ("numeric", "alert", "exact")
    assert age["ksStatistic"] == pytest.approx(0.6)
    assert age["ksPValue"] < 1e-6
    assert (plan["kind"], plan["severity"], plan["ksStatistic"]) == ("categorical", "none", None)
    assert plan["psi"] == pytest.approx(0.1 * (0.1823216 + 0.2231436), rel=1e-5)
    assert (same["psi"], same["severity"], same["referenceRows"]) == (0, "none", 50)
    assert found["skipped"] == [
        {"feature": "gone", "reason": "is not in current"},
        {"feature": "new", "reason": "is not in reference"},
    ]


async def test_a_check_is_kept_listed_and_audited(shop: Shop) -> None:
    made = await model(shop)
    first = await check(shop, reference={"age": AGES}, current={"age": AGES})
    second = await check(shop, path="algorithm-models", reference={"age": [1.0]}, current={"age": [2.0]})
    overview = await shop.get("model-governance", modelId="young")
    assert overview == {"modelId": made["id"], "approvals": [], "driftChecks": [second, first]}

    answer = await shop.api.admin.get("/api/v1/audit-logs", params={"action": "drift_evaluate"})
    newest, oldest = answer.json()["data"]
    assert (newest["entityId"], newest["entityName"], newest["userName"]) == (made["id"], "young", "editor")
    assert newest["changes"]["id"] == second["id"]
    assert (oldest["changes"]["verdict"], oldest["changes"]["driftDetected"]) == ("none", False)
    verified = await shop.api.admin.get("/api/v1/audit-logs/verify")
    assert verified.json()["intact"]


async def test_a_snapshot_is_compared_with_what_training_has_stored(shop: Shop) -> None:
    made = await model(shop)
    await trained(shop, made["id"])
    scores = [0.25] * 10 + [0.35] * 10
    found = await check(shop, current={"age": AGES, "plan": ["gold"] * 50, "size": [1]}, currentScores=scores)
    assert found["features"]["age"]["severity"] == "none"
    assert (found["features"]["age"]["ksMethod"], found["features"]["age"]["currentRows"]) == ("binned", 50)
    assert found["features"]["plan"]["severity"] == "alert"
    assert (found["psiScore"], found["ksScore"], found["verdict"]) == (0, 0, "alert")
    assert found["skipped"] == [{"feature": "size", "reason": "training has stored nothing of it"}]


async def test_scores_and_the_fall_of_the_auc_are_told(shop: Shop) -> None:
    await model(shop, metrics={"auc": 0.8})
    same = [place / 100 for place in range(100)]
    kept = await check(shop, referenceScores=same, currentScores=same, currentAuc=0.76)
    assert (kept["psiScore"], kept["verdict"], kept["driftDetected"]) == (0, "none", False)
    assert kept["aucDelta"] == pytest.approx(-0.04)
    fallen = await check(shop, referenceScores=same, currentScores=same, currentAuc=0.74)
    assert (fallen["verdict"], fallen["driftDetected"]) == ("none", True)
    labels = [place % 2 == 0 for place in range(100)]
    measured = await check(shop, referenceScores=same, currentScores=same, currentLabels=labels)
    assert measured["aucDelta"] == pytest.approx(0.49 - 0.8)
    moved = await check(shop, referenceScores=same, currentScores=[score / 2 for score in same])
    assert (moved["verdict"], moved["ksScore"]) == ("alert", pytest.approx(0.5))
    assert moved["psiScore"] == moved["score"]["psi"] > 0.25


async def test_without_a_body_the_decisions_of_late_are_compared_by_a_job(shop: Shop, database_url: str) -> None:
    made = await model(shop)
    await trained(shop, made["id"])
    score = {"type": "score", "config": {"method": "propensity", "modelKey": "young"}}
    await shop.flow("f", score, {"type": "rank", "config": {"method": "topN"}})
    await shop.flow("other", {"type": "rank", "config": {"method": "topN"}})
    plans = ("basic", "gold")
    await decided(shop, "f", [{"age": age, "plan": plans[age % 2]} for age in AGES])
    await decided(shop, "other", [{"age": 99, "plan": "gold"}] * 3)

    job = await checked_by_job(shop, database_url)

    assert (job["status"], job["queue"], job["type"]) == ("completed", "drift-jobs", "drift_check")
    found = job["result"]
    assert {name: one["severity"] for name, one in found["features"].items()} == {"age": "none", "plan": "none"}
    assert {one["currentRows"] for one in found["features"].values()} == {50}
    assert (found["score"]["currentRows"], found["psiScore"], found["verdict"]) == (50, 0, "none")
    assert found["skipped"] == [{"feature": "offer.priority", "reason": "is no fact of the customer"}]
    (kept,) = (await shop.get("model-governance", modelId="young"))["driftChecks"]
    assert kept == found
    audited = (await shop.api.admin.get("/api/v1/audit-logs", params={"action": "drift_evaluate"})).json()["data"]
    assert [(row["userId"], row["requestId"]) for row in audited] == [("system", job["id"])]

    await decided(shop, "f", [{"age": 65, "plan": "gold"}] * 60)
    later = (await checked_by_job(shop, database_url))["result"]
    assert {name: one["severity"] for name, one in later["features"].items()} == {"age": "alert", "plan": "alert"}
    assert (later["verdict"], later["driftDetected"], later["score"]["severity"]) == ("alert", True, "alert")


async def test_a_shadow_is_checked_by_what_it_has_said(shop: Shop, database_url: str) -> None:
    await model(shop, "main")
    made = await model(shop, "young")
    await trained(shop, made["id"])
    node = {"method": "propensity", "modelKey": "main", "shadowModelKeys": ["young"]}
    await shop.flow("f", {"type": "score", "config": node}, {"type": "rank", "config": {"method": "topN"}})
    await decided(shop, "f", [{"age": 25, "plan": "basic"}] * 20)
    found = (await checked_by_job(shop, database_url))["result"]
    assert (found["score"]["currentRows"], found["score"]["severity"]) == (20, "alert")
    assert found["features"]["age"]["severity"] == "alert"


async def test_a_job_that_is_run_again_leaves_one_check(shop: Shop, database_url: str) -> None:
    await model(shop)
    asked: dict[str, Any] = {"reference": {"age": AGES}, "current": {"age": AGES}, "async": True}
    job = await checked_by_job(shop, database_url, "young", **asked)
    assert job["status"] == "completed"
    await shop.run("UPDATE jobs SET status = 'queued', finished_at = null, run_after = now()")
    again = await run_job(shop, database_url, job["id"])
    assert (again["status"], again["result"]) == ("completed", job["result"])
    assert len((await shop.get("model-governance", modelId="young"))["driftChecks"]) == 1


async def test_a_second_check_waits_for_the_first(shop: Shop, database_url: str) -> None:
    await model(shop)
    answers = [await shop.api.editor.post("/api/v1/models/young/drift") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 409]
    job = await run_job(shop, database_url, answers[0].json()["jobId"])
    assert (job["status"], job["error"]["code"]) == ("failed", "nothing_to_compare")
    assert (await shop.api.editor.post("/api/v1/models/young/drift")).status_code == 202


async def test_nothing_in_common_is_refused(shop: Shop) -> None:
    await model(shop)
    bodies: tuple[dict[str, Any], ...] = (
        {"reference": {"a": [1]}, "current": {"b": [1]}},
        {"reference": {"a": []}, "current": {"a": [1]}},
        {"current": {"a": [1]}},
        {"currentScores": [1]},
    )
    for body in bodies:
        answer = await shop.api.editor.post("/api/v1/models/young/drift", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "nothing_to_compare"), body
    assert (await shop.get("model-governance", modelId="young"))["driftChecks"] == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"reference": {"a": [1]}}, "$.current"),
    ({"referenceScores": [1]}, "$.currentScores"),
    ({"currentScores": [1, 2], "currentLabels": [True]}, "$.currentLabels"),
    ({"current": {"a": [{}]}}, "$.current.a[0]"),
    ({"current": {"a": 1}}, "$.current.a"),
    ({"current": {}, "days": 0}, "$.days"),
    ({"current": {}, "currentAuc": 2}, "$.currentAuc"),
    ({"current": {}, "since": 1}, "$.since"),
    ({"async": "yes"}, "$.async"),
]


@pytest.mark.parametrize(("body", "path"), WRONG)
async def test_a_wrong_body_is_refused_with_its_path(shop: Shop, body: dict[str, Any], path: str) -> None:
    await model(shop)
    answer = await shop.api.editor.post("/api/v1/models/young/drift", json=body)
    assert answer.status_code == 400, answer.text
    assert path in [one["path"] for one in answer.json()["error"]["details"]]


async def test_the_body_may_name_the_model(shop: Shop) -> None:
    await model(shop)
    body = {"action": "drift_check", "modelId": "young", "reference": {"a": [1]}, "current": {"a": [1]}}

    async def govern(**changed: Any) -> httpx.Response:
        return await shop.api.editor.post("/api/v1/model-governance", json={**body, **changed})

    assert (await govern()).json()["verdict"] == "none"
    unknown = await govern(modelId="nobody")
    assert (unknown.status_code, unknown.json()["error"]["details"][0]["path"]) == (404, "$.modelId")
    wrong = await govern(action="guess")
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["path"]) == (400, "$.action")
    queued = await govern(reference=None, current=None)
    assert queued.status_code == 202


async def test_roles_and_unknown_models(shop: Shop, other_shop: Shop) -> None:
    made = await model(shop)
    for path in ("/api/v1/models/young/drift", "/api/v1/model-governance"):
        assert (await shop.api.viewer.post(path, json={})).status_code == 403
    assert (await shop.api.editor.post("/api/v1/models/nobody/drift", json={"days": 0})).status_code == 404
    for client in (shop.api.viewer, shop.api.editor):
        missing = await client.get("/api/v1/model-governance")
        assert (missing.status_code, missing.json()["error"]["details"][0]["path"]) == (400, "query.modelId")
    theirs = other_shop.api.admin
    assert (await theirs.post(f"/api/v1/models/{made['id']}/drift", json={})).status_code == 404
    assert (await theirs.get("/api/v1/model-governance", params={"modelId": made["id"]})).status_code == 404
