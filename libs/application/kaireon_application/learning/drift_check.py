"""Checks of models for drift: what is asked, what is found, where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_application.catalog.entities import Entity
from kaireon_application.catalog.fields import Label
from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction, AuditEntry, wire_type
from kaireon_application.platform.job import JobRun
from kaireon_core.learning.drift import Comparison, Verdict

JOB_TYPE = "drift_check"
# An AUC that has fallen by more than this is drift, whatever the features look like.
MOST_AUC_DROP = 0.05

Value = float | bool | str | None
Values = Annotated[list[Value], Meta(max_length=100_000)]
Snapshot = Annotated[dict[Label, Values], Meta(max_length=500)]
Scores = Annotated[list[float], Meta(max_length=100_000)]


class DriftRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What to compare: the values of each feature then (`reference`) and now (`current`), and of the scores.

    Without `reference` it is what the newest version was trained on, without `current` what the decisions of the last
    `days` days have stored; that is a job, as is whatever asks for it with `async`.
    """

    reference: Snapshot | None = None
    current: Snapshot | None = None
    reference_scores: Scores | None = None
    current_scores: Scores | None = None
    # What is known of the current scores by now: the AUC, told or computed from labels in their order.
    current_auc: Annotated[float, Meta(ge=0, le=1)] | None = None
    current_labels: Annotated[list[bool], Meta(max_length=100_000)] | None = None
    days: Annotated[int, Meta(ge=1, le=365)] = 7
    is_async: bool = msgspec.field(default=False, name="async")


class SkippedFeature(msgspec.Struct, frozen=True, kw_only=True):
    """A feature that could not be compared, and why."""

    feature: str
    reason: str


class DriftFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check has found of a model; `version` is the one that the model has now."""

    version: int
    verdict: Verdict
    drift_detected: bool
    psi_score: float | None
    ks_score: float | None
    auc_delta: float | None
    features: dict[str, Comparison]
    score: Comparison | None
    skipped: list[SkippedFeature]


class DriftCheck(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A check as it is kept and answered.

    `psiScore` and `ksScore` are those of the scores, null when they were not compared; `aucDelta` is null when nothing
    is known of the AUC now or then. `driftDetected` is a verdict of `alert`, or an AUC that fell by more than 0.05.
    """

    id: UUID
    model_id: UUID
    version: int
    verdict: Verdict
    drift_detected: bool
    psi_score: float | None
    ks_score: float | None
    auc_delta: float | None
    features: dict[str, Comparison]
    score: Comparison | None
    skipped: list[SkippedFeature]
    checked_at: datetime


class DriftChecks(Protocol):
    """Keeps checks. Every method raises `Unavailable` while the storage is away."""

    async def add(
        self, tenant_id: UUID, model: Entity, finding: DriftFinding, actor: Actor, run: JobRun | None = None
    ) -> DriftCheck:
        """Store a finding and note it in the audit log. In a job (`run`), raises `LeaseLost` when it is not ours."""
        ...

    async def newest(self, tenant_id: UUID, model_id: UUID) -> DriftCheck | None:
        """Return the newest check of a model, or None."""
        ...

    async def list(self, tenant_id: UUID, model_id: UUID, limit: int) -> Sequence[DriftCheck]:
        """Return the newest checks of a model, newest first."""
        ...

    async def of_job(self, tenant_id: UUID, job_id: UUID) -> DriftCheck | None:
        """Return the check that a job has left, or None."""
        ...


def drift_entry(model: Entity, check: DriftCheck) -> AuditEntry:
    """Return what the audit log says of a check."""
    told: dict[str, Any] = msgspec.to_builtins(check)
    names = ("id", "version", "verdict", "driftDetected", "psiScore", "ksScore", "aucDelta")
    return AuditEntry(
        action=AuditAction.DRIFT_EVALUATE,
        entity_type=wire_type(model.kind),
        entity_id=str(model.id),
        entity_name=model.name,
        entity_version=model.row_version,
        changes={name: told[name] for name in names},
    )
