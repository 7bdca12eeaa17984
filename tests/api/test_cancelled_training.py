"""A training that a worker is at is cancelled over HTTP, wherever it runs, and leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ml_worker.conftest import database_url, ml_worker, start_ml_worker, tenant

if TYPE_CHECKING:
    from kaireon_api.settings import Settings
    from tests.api.conftest import Clients, Eventually, StartWorker
    from tests.ml_worker.conftest import Process

# One database for the module, so that it needs one ML worker.
__all__ = ["database_url", "ml_worker", "start_ml_worker", "tenant"]

MODELS = "/api/v1/algorithm-models"
ROWS = 4_000
SCHEMA = {
    "key": "bank",
    "name": "bank",
    "fields": [
        {"name": "id", "dataType": "integer", "isPrimaryKey": True},
        {"name": "who", "dataType": "varchar"},
        {"name": "age", "dataType": "integer"},
        {"name": "y", "dataType": "boolean"},
    ],
}
PREDICTORS = [{"field": "age"}, {"field": "who"}]
MODEL: dict[str, Any] = {"targetSchemaKey": "bank", "targetField": "y", "predictors": PREDICTORS}
# About a minute of work each; the first two in the worker itself, the third in the ML worker.
LONG: dict[str, dict[str, Any]] = {
    "neural_cf": {"userField": "who", "itemField": "age", "epochs": 1000, "batchSize": 4},
    "logistic_regression": {"epochs": 10_000},
    "gradient_boosted": {"numIterations": 10_000, "numLeaves": 255, "earlyStoppingRounds": 0, "minDataInLeaf": 1},
}
SHORT: dict[str, dict[str, Any]] = {
    "neural_cf": {"epochs": 1},
    "logistic_regression": {"epochs": 1},
    "gradient_boosted": {"numIterations": 2},
}


@pytest.fixture
def settings(settings: Settings, ml_worker: Process) -> Settings:
    """The same, with an ML worker."""
    return settings.model_copy(update={"ml_worker_url": ml_worker.url})


async def fill(api: Clients) -> None:
    """Create the schema and its rows."""
    made = await api.editor.post("/api/v1/schemas", json=SCHEMA)
    assert made.status_code == 201, made.text
    rows = [{"id": n, "who": f"c{n % 997}", "age": n * 31 % 83, "y": n * 17 % 13 < 4} for n in range(ROWS)]
    for start in range(0, ROWS, 1000):
        answer = await api.editor.post("/api/v1/schemas/bank/data", json={"rows": rows[start : start + 1000]})
        assert answer.status_code == 201, answer.text


class Training:
    """The job of a training, as it was seen last."""

    def __init__(self, api: Clients) -> None:
        self.api = api
        self.path = ""
        self.job: dict[str, Any] = {}

    async def ask(self, **config: Any) -> None:
        """Ask for the model to be trained like this."""
        changed = await self.api.editor.put(f"{MODELS}/m1", json={"config": config})
        assert changed.status_code == 200, changed.text
        answer = await self.api.editor.post(f"{MODELS}/m1/train")
        assert answer.status_code == 202, answer.text
        self.path = answer.json()["statusUrl"]

    async def has_begun(self) -> bool:
        self.job = (await self.api.viewer.get(self.path)).json()
        return self.job["progress"]["processed"] > 0

    async def is_over(self) -> bool:
        self.job = (await self.api.viewer.get(self.path)).json()
        return self.job["status"] not in ("queued", "running")

    async def model(self) -> dict[str, Any]:
        """Return the model with its versions."""
        return (await self.api.viewer.get(f"{MODELS}/m1")).json()


@pytest.mark.parametrize("model_type", LONG)
async def test_cancelling_ends_a_training_that_runs(
    api: Clients,
    start_worker: StartWorker,
    eventually: Eventually,
    ml_worker: Process,
    monkeypatch: pytest.MonkeyPatch,
    model_type: str,
) -> None:
    monkeypatch.setenv("ML_WORKER_URL", ml_worker.url)
    start_worker()
    await fill(api)
    made = await api.editor.post(MODELS, json={"key": "m1", "name": "m1", "modelType": model_type, **MODEL})
    assert made.status_code == 201, made.text
    training = Training(api)
    await training.ask(**LONG[model_type])
    before = await training.model()

    await eventually(training.has_begun)
    assert training.job["status"] == "running"
    asked = await api.editor.post(f"{training.path}/cancel")
    assert (asked.status_code, asked.json()["statusUrl"]) == (202, training.path)
    await eventually(training.is_over)

    job = training.job
    assert (job["status"], job["error"], job["result"]) == ("cancelled", None, None)
    assert 0 < job["progress"]["processed"] < job["progress"]["total"]
    assert job["finishedAt"] is not None
    assert await training.model() == before

    # What did the work is free again, and the model may be trained anew.
    await training.ask(**LONG[model_type] | SHORT[model_type])
    await eventually(training.is_over)
    job = training.job
    assert (job["status"], job["result"]["version"]) == ("completed", 1)
    assert job["progress"]["processed"] == job["progress"]["total"] > 0
