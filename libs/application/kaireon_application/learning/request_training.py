"""Asking for a model to be trained."""

from __future__ import annotations

from uuid import UUID, uuid4

from kaireon_application.catalog.entities import Entities
from kaireon_application.errors import MlWorkerNotConfigured, TrainingNotSupported
from kaireon_application.learning.train_model import JOB_TYPE, TrainingSource, find_model_and_schema, planned
from kaireon_application.learning.training import TRAINED_HERE
from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import Jobs, NewJob
from kaireon_core.learning.definitions import ModelType


async def request_training(
    entities: Entities,
    jobs: Jobs,
    tenant_id: UUID,
    reference: str,
    *,
    has_ml_worker: bool,
    source: TrainingSource = "schema",
) -> UUID:
    """Queue the training of a model and return the job's id.

    Raises `NotFound`, `MlWorkerNotConfigured`, `TrainingNotSupported`, an `Unprocessable` when the definition alone
    shows that it cannot be trained, `Conflict` while another training of the same model is not over.
    """
    model, schema = await find_model_and_schema(entities, tenant_id, reference)
    model_type = ModelType(model.body["modelType"])
    if model_type is ModelType.GRADIENT_BOOSTED and not has_ml_worker:
        raise MlWorkerNotConfigured
    if model_type not in TRAINED_HERE:
        raise TrainingNotSupported(f"models of type {model_type} are not trained here")
    planned(uuid4(), tenant_id, model, schema, source)
    return await jobs.enqueue(
        tenant_id,
        NewJob(
            queue=Queue.RETRAIN,
            type=JOB_TYPE,
            payload={"modelId": str(model.id), "source": source},
            dedupe_key=f"{JOB_TYPE}:{model.id}",
        ),
    )
