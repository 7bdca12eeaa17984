"""Trained versions of models: immutable, numbered from 1."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, cast
from uuid import UUID

import msgspec

from kaireon_application.learning.algorithm_model import next_generation
from kaireon_application.learning.training import TrainedModel
from kaireon_application.platform.job import JobRun

_HISTORY_KEPT = 100


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A version as `GET /algorithm-models/{id}` lists it."""

    version: int
    metrics: dict[str, Any]
    training: dict[str, Any]
    created_at: datetime


class ModelVersion(VersionSummary, frozen=True, kw_only=True, rename="camel"):
    """A version with what scoring needs."""

    model_id: UUID
    model_type: str
    state: dict[str, Any]


class ModelVersions(Protocol):
    """The versions of one tenant's models. Every method raises `Unavailable` while the storage is down."""

    async def newest(self, tenant_id: UUID, model_ids: Collection[UUID]) -> dict[UUID, ModelVersion]:
        """Return the newest version of each of these models; a model that was never trained is absent."""
        ...

    async def get(self, tenant_id: UUID, model_id: UUID, version: int) -> ModelVersion | None:
        """Return one version, or None."""
        ...

    async def list(self, tenant_id: UUID, model_id: UUID) -> list[VersionSummary]:
        """Return all versions, newest first."""
        ...

    async def of_job(self, tenant_id: UUID, model_id: UUID, job_id: UUID) -> VersionSummary | None:
        """Return the version that a job has left, or None."""
        ...

    async def add(self, run: JobRun, model_id: UUID, trained: TrainedModel) -> VersionSummary:
        """Store a new version, write its numbers on the model and tell every process, while the job's lease holds.

        Raises `LeaseLost`, and `NotFound` when the model was deleted meanwhile.
        """
        ...


def with_version(body: Mapping[str, Any], version: VersionSummary, trained: TrainedModel) -> dict[str, Any]:
    """Return a model's body with the numbers of a new version on it."""
    trained_at = version.created_at.isoformat()
    history: list[Any] = list(body.get("metricsHistory") or [])
    measured = {"version": version.version, "trainedAt": trained_at, **trained.metrics}
    return {
        **body,
        "version": version.version,
        "trainingSamples": trained.metrics.get("rows", 0),
        "lastTrainedAt": trained_at,
        "metrics": trained.metrics,
        # The version's state is the current one now, and what is learnt from responses begins anew on top of it.
        "modelState": {},
        "learningGeneration": next_generation(body),
        "metricsHistory": [*history, measured][-_HISTORY_KEPT:],
        "predictors": [
            _with_importance(predictor, trained.importances)
            for predictor in cast("Sequence[dict[str, Any]]", body.get("predictors") or ())
        ],
    }


def _with_importance(predictor: dict[str, Any], importances: Mapping[str, float]) -> dict[str, Any]:
    field = str(predictor["field"])
    return {**predictor, "importance": importances[field]} if field in importances else predictor
