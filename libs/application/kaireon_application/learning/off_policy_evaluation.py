"""What an evaluation of a policy came to, as it is answered and kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_core.learning.off_policy.evaluate import Evaluation
from kaireon_core.learning.off_policy.interval import Estimate


class EstimateAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A mean reward per row, its standard error, and the ends of its confidence interval."""

    value: float
    standard_error: float
    ci_lower: float
    ci_upper: float


class Estimators(msgspec.Struct, frozen=True, kw_only=True):
    """The three estimates: inverse propensity scoring, its self-normalised form, doubly robust."""

    ips: EstimateAnswer
    snips: EstimateAnswer
    dr: EstimateAnswer


class Overlap(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far the log shows what the target would: weights before any clipping, and the mass that it never shows."""

    max_weight: float
    mean_weight: float
    target_mass_not_in_log: float


class Clipping(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """At what weights were held, and how many rows that changed."""

    clip: float
    clipped_rows: int


class EvaluationResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a target would have earned per row; `clipping` is there only where it was asked for."""

    n: int
    estimators: Estimators
    effective_sample_size: float
    overlap: Overlap
    clipping: Clipping | msgspec.UnsetType = msgspec.UNSET


class StoredEvaluation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An evaluation that was made: from where (`source`), of what (`target`), and its result.

    `model_id` or `flow_id` says whose it is; both are null for a table.
    """

    id: UUID
    model_id: UUID | None
    flow_id: UUID | None
    source: dict[str, Any]
    target: dict[str, Any]
    result: EvaluationResult
    created_at: datetime


class EvaluationQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which evaluations to list, newest first."""

    limit: int
    offset: int = 0
    model_id: UUID | None = None
    flow_id: UUID | None = None


class EvaluationPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of evaluations."""

    evaluations: list[StoredEvaluation]
    total: int


class OffPolicyEvaluations(Protocol):
    """Keeps evaluations. Raises `Unavailable` while the storage is down."""

    async def add(self, tenant_id: UUID, evaluation: StoredEvaluation) -> None:
        """Store an evaluation."""
        ...

    async def get(self, tenant_id: UUID, evaluation_id: UUID) -> StoredEvaluation | None:
        """Return an evaluation, or None."""
        ...

    async def page(self, tenant_id: UUID, query: EvaluationQuery) -> EvaluationPage:
        """Return a page of evaluations, newest first."""
        ...

    async def newest(self, tenant_id: UUID, model_id: UUID) -> StoredEvaluation | None:
        """Return the latest evaluation of a model, None when it was never evaluated: asked when it is promoted."""
        ...


def result_of(found: Evaluation, clip: float | None) -> EvaluationResult:
    """Return an evaluation as it is answered."""
    return EvaluationResult(
        n=found.row_count,
        estimators=Estimators(ips=_answer(found.ips), snips=_answer(found.snips), dr=_answer(found.dr)),
        effective_sample_size=found.effective_sample_size,
        overlap=Overlap(
            max_weight=found.largest_weight,
            mean_weight=found.mean_weight,
            target_mass_not_in_log=found.unshown_mass,
        ),
        clipping=msgspec.UNSET if clip is None else Clipping(clip=clip, clipped_rows=found.clipped_count),
    )


def _answer(estimate: Estimate) -> EstimateAnswer:
    return EstimateAnswer(
        value=estimate.value,
        standard_error=estimate.standard_error,
        ci_lower=estimate.ci_lower,
        ci_upper=estimate.ci_upper,
    )
