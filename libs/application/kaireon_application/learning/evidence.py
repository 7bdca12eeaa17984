"""What is known of a model when it is promoted: beside the champion, on the log, of its drift; from how many rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entity
from kaireon_application.learning.drift_check import DriftChecks
from kaireon_application.learning.off_policy_evaluation import OffPolicyEvaluations
from kaireon_core.learning.area_difference import area_difference

_CONFIDENCE = 0.95


class AucDifference(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The model's area under the ROC curve minus the champion's, with its 95 % interval."""

    value: float
    ci_lower: float
    ci_upper: float
    method: str


class OffPolicyValue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the model would have earned per logged row, by the newest evaluation of it."""

    value: float
    ci_lower: float
    ci_upper: float
    method: str
    effective_sample_size: float
    evaluation_id: UUID
    evaluated_at: datetime


class DriftEvidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the newest drift check of the model's present version has found."""

    verdict: str
    psi_score: float | None
    ks_score: float | None
    checked_at: datetime


class PromotionEvidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is known; null for what is not. `sampleSizes` says from how many rows, by what was counted."""

    auc_difference: AucDifference | None
    off_policy_value: OffPolicyValue | None
    drift: DriftEvidence | None
    sample_sizes: dict[str, int]

    @property
    def psi(self) -> float | None:
        """The population stability index of the model's scores, None when it is not known."""
        return None if self.drift is None else self.drift.psi_score


# Of a model that has just been made.
NOTHING_KNOWN = PromotionEvidence(auc_difference=None, off_policy_value=None, drift=None, sample_sizes={})


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSources:
    """Where it is looked up."""

    evaluations: OffPolicyEvaluations
    drift_checks: DriftChecks


async def gather_evidence(
    sources: EvidenceSources, tenant_id: UUID, model: Entity, champion: Entity | None
) -> PromotionEvidence:
    """Return what is known of a model beside its family's champion, None where there is none or it is the model itself.

    Raises `Unavailable` while the storage is away.
    """
    evaluation = await sources.evaluations.newest(tenant_id, model.id)
    sizes = _sizes(model, "model") | (_sizes(champion, "champion") if champion else {})
    off_policy = None
    if evaluation is not None:
        estimate, result = evaluation.result.estimators.dr, evaluation.result
        sizes["offPolicyRows"] = result.n
        off_policy = OffPolicyValue(
            value=estimate.value,
            ci_lower=estimate.ci_lower,
            ci_upper=estimate.ci_upper,
            method="doubly_robust",
            effective_sample_size=result.effective_sample_size,
            evaluation_id=evaluation.id,
            evaluated_at=evaluation.created_at,
        )
    return PromotionEvidence(
        auc_difference=_auc_difference(model, champion),
        off_policy_value=off_policy,
        drift=await _drift(sources, tenant_id, model),
        sample_sizes=sizes,
    )


async def _drift(sources: EvidenceSources, tenant_id: UUID, model: Entity) -> DriftEvidence | None:
    """Return the newest finding, unless it is of another version than the model has now."""
    found = await sources.drift_checks.newest(tenant_id, model.id)
    if found is None or found.version != model.body.get("version"):
        return None
    return DriftEvidence(
        verdict=str(found.verdict),
        psi_score=found.psi_score,
        ks_score=found.ks_score,
        checked_at=found.checked_at,
    )


def _auc_difference(model: Entity, champion: Entity | None) -> AucDifference | None:
    """Return the difference of what their trainings have measured, each on its own held-out rows."""
    if champion is None:
        return None
    numbers = [_number(one, name) for one in (model, champion) for name in ("auc", "aucStandardError")]
    auc, error, champion_auc, champion_error = numbers
    if auc is None or error is None or champion_auc is None or champion_error is None:
        return None
    value, lower, upper = area_difference(auc, error, champion_auc, champion_error, _CONFIDENCE)
    return AucDifference(value=value, ci_lower=lower, ci_upper=upper, method="delong_unpaired")


def _sizes(model: Entity, whose: str) -> dict[str, int]:
    names = {"validationRows": "ValidationRows", "validationPositives": "ValidationPositives"}
    found = {f"{whose}{label}": _number(model, name) for name, label in names.items()}
    return {name: int(size) for name, size in found.items() if size is not None}


def _number(model: Entity, name: str) -> float | None:
    value = cast("Mapping[str, Any]", model.body.get("metrics") or {}).get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
