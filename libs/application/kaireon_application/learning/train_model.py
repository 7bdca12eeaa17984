"""The job that trains a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.errors import NotFound, TrainingNotSupported
from kaireon_application.learning.refusals import refusal_error
from kaireon_application.learning.training import Trainer, TrainingPlan, plan_interactions, plan_training
from kaireon_application.learning.versions import ModelVersions, VersionSummary
from kaireon_application.platform.job import JobRun, decode_payload
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.training_set import TrainingRefused

JOB_TYPE = "train_model"
TrainingSource: TypeAlias = Literal["schema", "interactions"]


class TrainModelPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the job is about."""

    model_id: UUID
    source: TrainingSource = "schema"


async def train_model(
    run: JobRun, entities: Entities, versions: ModelVersions, trainers: Mapping[ModelType, Trainer]
) -> dict[str, Any]:
    """Train the model of the job and return `{modelId, modelKey, version, metrics}`.

    Run again after a crash, it leaves one version: a job that has stored one only returns it.
    """
    payload = decode_payload(run, TrainModelPayload)
    tenant_id, model_id = run.job.tenant_id, payload.model_id
    model, schema = await find_model_and_schema(entities, tenant_id, str(model_id))
    stored = await versions.of_job(tenant_id, model_id, run.job.id)
    if stored is None:
        plan = planned(run.job.id, tenant_id, model, schema, payload.source)
        trainer = trainers.get(plan.model_type)
        if trainer is None:
            raise TrainingNotSupported(f"models of type {plan.model_type} are not trained here")
        trained = await trainer.train(plan, run.report)
        stored = await versions.add(run, model_id, trained)
    return _result(model, stored)


async def find_model_and_schema(entities: Entities, tenant_id: UUID, reference: str) -> tuple[Entity, Entity | None]:
    """Return a model by id or key, and the schema that it trains on if that is there. Raises `NotFound`."""
    async with entities.reading(tenant_id) as reader:
        model = (await reader.find("algorithm_model", [reference])).get(reference)
        if model is None:
            raise NotFound(f"no algorithm model {reference!r} in this tenant")
        schema_key = str(model.body.get("targetSchemaKey") or "")
        return model, (await reader.find("schema", [schema_key])).get(schema_key) if schema_key else None


def planned(
    training_id: UUID, tenant_id: UUID, model: Entity, schema: Entity | None, source: TrainingSource = "schema"
) -> TrainingPlan:
    """Return the plan of a training. Raises an `Unprocessable` with the code of the refusal."""
    try:
        if source == "interactions":
            return plan_interactions(training_id, tenant_id, model)
        return plan_training(training_id, tenant_id, model, schema)
    except TrainingRefused as refused:
        raise refusal_error(refused) from refused


def _result(model: Entity, version: VersionSummary) -> dict[str, Any]:
    return {
        "modelId": str(model.id),
        "modelKey": model.key,
        "version": version.version,
        "metrics": version.metrics,
    }
