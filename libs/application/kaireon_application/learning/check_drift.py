"""Compare what a model sees now with what it has seen in training, and keep what was found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.errors import InvalidInput, NothingToCompare
from kaireon_application.governance.actor import Actor, of_job
from kaireon_application.learning.algorithm_model import KIND
from kaireon_application.learning.drift_check import (
    JOB_TYPE,
    MOST_AUC_DROP,
    DriftCheck,
    DriftChecks,
    DriftFinding,
    DriftRequest,
    SkippedFeature,
)
from kaireon_application.learning.traced_decisions import Seen, TracedDecisions, seen_since
from kaireon_application.learning.versions import ModelVersions
from kaireon_application.platform.job import JobRun, Queue, decode_payload
from kaireon_application.platform.jobs import Jobs, NewJob
from kaireon_core.column import Column
from kaireon_core.learning.drift import Comparison, Counts, Verdict, compare, worst
from kaireon_core.learning.drift_bins import (
    TrainingReference,
    as_columns,
    binned_alike,
    binned_as_trained,
    binned_numbers,
)
from kaireon_core.learning.measurement import area_under_curve


class DriftJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a job is to check."""

    model_id: UUID
    request: DriftRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDrift:
    """Checks models for drift, at once or in a job."""

    entities: Entities
    versions: ModelVersions
    checks: DriftChecks
    traces: TracedDecisions

    async def now(self, tenant_id: UUID, reference: str, request: DriftRequest, actor: Actor) -> DriftCheck:
        """Check what the request brings along. Raises `NotFound`, `InvalidInput`, `NothingToCompare`."""
        model = await get_entity(self.entities, tenant_id, KIND, reference)
        _require_sense(request)
        return await self.checks.add(tenant_id, model, await self._found(tenant_id, model, request, None), actor)

    async def in_job(self, run: JobRun, at: datetime) -> dict[str, Any]:
        """Check as a job asks and return the check; run again after a crash, it leaves one."""
        tenant_id = run.job.tenant_id
        check = await self.checks.of_job(tenant_id, run.job.id)
        if check is None:
            payload = decode_payload(run, DriftJob)
            model = await get_entity(self.entities, tenant_id, KIND, str(payload.model_id))
            finding = await self._found(tenant_id, model, payload.request, (run, at))
            check = await self.checks.add(tenant_id, model, finding, of_job(run.job.id), run)
        return msgspec.to_builtins(check)

    async def _found(
        self, tenant_id: UUID, model: Entity, request: DriftRequest, job: tuple[JobRun, datetime] | None
    ) -> DriftFinding:
        trained = await self._trained(tenant_id, model) if request.reference is None else TrainingReference()
        seen: Seen | None = None
        if not _brings_current(request):
            assert job is not None  # noqa: S101 - `now` is asked for what the request brings
            run, at = job
            wanted = list(trained.features) or _predictors(model)
            since = at - timedelta(days=request.days)
            seen = await seen_since(self.traces, tenant_id, model.key, wanted, since, run.report)
        # Up to some hundred thousand values: not in the loop that others wait for.
        return await asyncio.to_thread(_finding, model, request, trained, seen)

    async def _trained(self, tenant_id: UUID, model: Entity) -> TrainingReference:
        version = (await self.versions.newest(tenant_id, [model.id])).get(model.id)
        stored: Any = version.training.get("reference") if version else None
        return msgspec.convert(stored, TrainingReference) if stored else TrainingReference()


async def request_drift_check(
    entities: Entities, jobs: Jobs, tenant_id: UUID, reference: str, request: DriftRequest
) -> UUID:
    """Queue a check and return the job's id.

    Raises `NotFound`, `InvalidInput`, and `Conflict` while another check of the model is not over.
    """
    model = await get_entity(entities, tenant_id, KIND, reference)
    _require_sense(request)
    payload = msgspec.to_builtins(DriftJob(model_id=model.id, request=request))
    new = NewJob(queue=Queue.DRIFT, type=JOB_TYPE, payload=payload, dedupe_key=f"{JOB_TYPE}:{model.id}")
    return await jobs.enqueue(tenant_id, new)


def is_job(request: DriftRequest) -> bool:
    """Return whether a check is made by the worker: it reads what decisions have stored, or is asked for so."""
    return request.is_async or not _brings_current(request)


def _brings_current(request: DriftRequest) -> bool:
    return request.current is not None or request.current_scores is not None


def _require_sense(request: DriftRequest) -> None:
    if request.reference is not None and request.current is None:
        raise InvalidInput.at("$.current", "is required with reference")
    if request.reference_scores is not None and request.current_scores is None:
        raise InvalidInput.at("$.currentScores", "is required with referenceScores")
    labels, scores = request.current_labels, request.current_scores
    if labels is not None and len(labels) != len(scores or ()):
        raise InvalidInput.at("$.currentLabels", "must be as many as currentScores")


@dataclass(slots=True)
class _Comparing:
    """What was compared so far."""

    features: dict[str, Comparison] = field(default_factory=dict[str, Comparison])
    skipped: list[SkippedFeature] = field(default_factory=list[SkippedFeature])

    def features_alike(self, reference: Mapping[str, Column], current: Mapping[str, Column]) -> None:
        for name, column in reference.items():
            if name not in current:
                self.skip(name, "is not in current")
            else:
                self._add(name, binned_alike(column, current[name]))
        for name in current:
            if name not in reference:
                self.skip(name, "is not in reference")

    def features_as_trained(self, trained: TrainingReference, current: Mapping[str, Column]) -> None:
        for name, column in current.items():
            if name not in trained.features:
                self.skip(name, "training has stored nothing of it")
            else:
                self._add(name, binned_as_trained(trained.features[name], column))

    def score(self, request: DriftRequest, trained: TrainingReference, seen: Seen) -> Comparison | None:
        if not len(seen.scores):
            return None
        if request.reference_scores is not None:
            current = Column.from_values(seen.scores.tolist())
            counts = binned_alike(Column.from_values(request.reference_scores), current)
            return None if counts is None else compare(counts)
        if trained.score is None or not trained.score.counts or request.reference is not None:
            return None
        return compare(binned_numbers(trained.score.edges, trained.score.counts, seen.scores, seen.weights))

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append(SkippedFeature(feature=name, reason=reason))

    def _add(self, name: str, counts: Counts | None) -> None:
        if counts is None:
            self.skip(name, "one of the two has no rows")
        else:
            self.features[name] = compare(counts)


def _finding(model: Entity, request: DriftRequest, trained: TrainingReference, traced: Seen | None) -> DriftFinding:
    """Return what is found. Raises `NothingToCompare`."""
    seen = traced or Seen.of_snapshot(as_columns(request.current or {}), request.current_scores or [])
    comparing = _Comparing(skipped=list(seen.skipped))
    if request.reference is not None:
        comparing.features_alike(as_columns(request.reference), seen.features)
    else:
        comparing.features_as_trained(trained, seen.features)
    score = comparing.score(request, trained, seen)
    if not comparing.features and score is None:
        reasons = "; ".join(f"{one.feature} {one.reason}" for one in comparing.skipped[:5])
        raise NothingToCompare(f"there is nothing to compare: {reasons or 'no feature and no score is known twice'}")
    return _told(model, comparing, score, _auc_delta(model, request))


def _told(model: Entity, comparing: _Comparing, score: Comparison | None, auc_delta: float | None) -> DriftFinding:
    verdicts = [one.severity for one in comparing.features.values()]
    verdict = worst([*verdicts, score.severity] if score else verdicts)
    return DriftFinding(
        version=int(model.body.get("version") or 0),
        verdict=verdict,
        drift_detected=verdict is Verdict.ALERT or (auc_delta is not None and auc_delta < -MOST_AUC_DROP),
        psi_score=score.psi if score else None,
        ks_score=score.ks_statistic if score else None,
        auc_delta=auc_delta,
        features=comparing.features,
        score=score,
        skipped=comparing.skipped,
    )


def _auc_delta(model: Entity, request: DriftRequest) -> float | None:
    """Return how far the AUC is above that of training, None where one of the two is not known."""
    metrics: dict[str, Any] = model.body.get("metrics") or {}
    trained: Any = metrics.get("auc")
    current = request.current_auc
    if current is None and request.current_labels:
        labels = np.array(request.current_labels, np.float64)
        current = area_under_curve(labels, np.array(request.current_scores, np.float64))
    if current is None or not isinstance(trained, (int, float)):
        return None
    return current - float(trained)


def _predictors(model: Entity) -> list[str]:
    predictors: list[dict[str, Any]] = model.body.get("predictors") or []
    return [str(one["field"]) for one in predictors if one.get("selected", True)]
