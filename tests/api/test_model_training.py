"""Asking for a training over HTTP; what becomes of it is tested with the ML worker itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kaireon_api.settings import Settings
from kaireon_testkit.platform.tenant import TEST_PEPPER

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients

MODELS = "/api/v1/algorithm-models"
SCHEMA = {
    "name": "bank",
    "fields": [
        {"name": "id", "dataType": "integer", "isPrimaryKey": True},
        {"name": "age", "dataType": "integer"},
        {"name": "y", "dataType": "varchar"},
    ],
}
TRAINABLE = {
    "modelType": "gradient_boosted",
    "targetSchemaKey": "bank",
    "targetField": "y",
    "predictors": [{"field": "age", "selected": True}],
}


@pytest.fixture
def ml_worker_url(request: pytest.FixtureRequest) -> str | None:
    """Where the ML worker is said to be; asking for a training does not call it."""
    return getattr(request, "param", "http://127.0.0.1:9")


@pytest.fixture
def settings(database_url: str, redis_url: str, ml_worker_url: str | None) -> Settings:
    """The settings of an API that knows, or does not know, an ML worker."""
    return Settings.model_validate(
        {
            "database_url": database_url,
            "redis_url": redis_url,
            "api_key_pepper": TEST_PEPPER,
            "worker_inprocess": False,
            "ml_worker_url": ml_worker_url,
        }
    )


without_ml_worker = pytest.mark.parametrize("ml_worker_url", [None], indirect=True)


async def create(client: httpx.AsyncClient, **fields: Any) -> str:
    schema = await client.post("/api/v1/schemas", json=SCHEMA)
    assert schema.status_code == 201, schema.text
    answer = await client.post(MODELS, json={"key": "m1", "name": "M1", **TRAINABLE, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def jobs(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await client.get("/api/v1/jobs")).json()["data"]


async def test_a_training_is_a_job(api: Clients) -> None:
    model_id = await create(api.editor)
    answer = await api.editor.post(f"{MODELS}/m1/train")
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["jobId"]
    assert answer.json() == {"jobId": job_id, "statusUrl": f"/api/v1/jobs/{job_id}"}
    job = (await api.viewer.get(answer.json()["statusUrl"])).json()
    assert (job["queue"], job["type"], job["status"]) == ("retrain-jobs", "train_model", "queued")
    again = await api.editor.post(f"{MODELS}/{model_id}/train", json={"source": "schema"})
    assert again.status_code == 409
    assert len(await jobs(api.viewer)) == 1


@without_ml_worker
@pytest.mark.parametrize("fields", [{}, {"targetField": "gone"}], ids=str)
async def test_without_an_ml_worker_nothing_is_queued(api: Clients, fields: dict[str, Any]) -> None:
    await create(api.editor, **fields)
    answer = await api.editor.post(f"{MODELS}/m1/train")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "ML_WORKER_URL is not configured"
    assert "retry-after" in answer.headers
    assert await jobs(api.viewer) == []


@without_ml_worker
async def test_a_scorecard_needs_no_ml_worker(api: Clients) -> None:
    await create(api.editor, modelType="scorecard")
    assert (await api.editor.post(f"{MODELS}/m1/train", json={})).status_code == 202


@without_ml_worker
@pytest.mark.parametrize("model_type", ["external_endpoint", "onnx_imported"])
async def test_what_is_not_trained_says_so(api: Clients, model_type: str) -> None:
    config = {"endpoint": "https://models.example.com/score"} if model_type == "external_endpoint" else {}
    await create(api.editor, modelType=model_type, config=config)
    answer = await api.editor.post(f"{MODELS}/m1/train")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "training_not_supported")


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"targetField": "gone"}, "unknown_target"),
    ({"targetSchemaKey": "gone"}, "unknown_schema"),
    ({"predictors": []}, "no_predictors"),
    ({"predictors": [{"field": "gone"}]}, "unknown_predictor"),
]


@pytest.mark.parametrize(("fields", "code"), REFUSALS, ids=str)
async def test_refusals_that_show_at_once_are_422(api: Clients, fields: dict[str, Any], code: str) -> None:
    await create(api.editor, **fields)
    answer = await api.editor.post(f"{MODELS}/m1/train")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert await jobs(api.viewer) == []


async def test_who_may_not_train_learns_nothing(api: Clients) -> None:
    await create(api.editor)
    assert (await api.viewer.post(f"{MODELS}/m1/train")).status_code == 403
    assert (await api.anonymous.post(f"{MODELS}/m1/train")).status_code == 401
    assert (await api.editor.post(f"{MODELS}/gone/train")).status_code == 404
    assert (await api.editor.post(f"{MODELS}/m1/train", json={"source": "moon"})).status_code == 400
    assert await jobs(api.viewer) == []
