"""Queue a training for every model that learns on a schedule and is due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity, ListQuery
from kaireon_application.errors import Conflict, MlWorkerNotConfigured, Unavailable, Unprocessable
from kaireon_application.learning.algorithm_model import KIND
from kaireon_application.learning.request_training import request_training
from kaireon_application.learning.retrain_schedule import is_due
from kaireon_application.platform.jobs import Jobs

_ALL = 10_000


class RetrainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: how many models by outcome, and which could not be asked for, by tenant and key."""

    counts: dict[str, int]
    failures: tuple[str, ...]


async def queue_scheduled_retrains(
    entities: Entities, jobs: Jobs, tenant_ids: Iterable[UUID], now: datetime, *, has_ml_worker: bool
) -> RetrainReport:
    """Queue the trainings that are due, each once however often this is run.

    A model whose training is queued or running already, or whose definition is refused, is counted and left; one tenant
    that fails does not keep the others from theirs.
    """
    counts: dict[str, int] = {"queued": 0, "notDue": 0, "alreadyQueued": 0, "refused": 0}
    failures: list[str] = []
    for tenant_id in tenant_ids:
        try:
            for model in await _scheduled(entities, tenant_id):
                counts[await _queue(entities, jobs, tenant_id, model, now, has_ml_worker=has_ml_worker)] += 1
        except Unavailable as error:
            failures.append(f"{tenant_id}: {error.message}")
    return RetrainReport(counts=counts, failures=tuple(failures))


async def _scheduled(entities: Entities, tenant_id: UUID) -> list[Entity]:
    async with entities.reading(tenant_id) as reader:
        page = await reader.page(KIND, ListQuery(limit=_ALL, matching={"learnMode": "scheduled"}))
    return [
        model
        for model in page.entities
        if model.body.get("autoLearn") and "archived" not in {model.status, model.body["registryStatus"]}
    ]


async def _queue(
    entities: Entities, jobs: Jobs, tenant_id: UUID, model: Entity, now: datetime, *, has_ml_worker: bool
) -> str:
    """Return what became of one model."""
    trained: str | None = model.body.get("lastTrainedAt")
    trained_at = datetime.fromisoformat(trained) if trained else None
    if not is_due(model.body.get("learnSchedule"), trained_at, now):
        return "notDue"
    try:
        # A model that names no schema learns from what was decided.
        source = "schema" if model.body.get("targetSchemaKey") else "interactions"
        await request_training(entities, jobs, tenant_id, str(model.id), has_ml_worker=has_ml_worker, source=source)
    except (Unprocessable, MlWorkerNotConfigured):
        return "refused"
    except Conflict as error:
        return "refused" if error.code == "training_not_supported" else "alreadyQueued"
    return "queued"
