"""Shadow scores as a trace keeps them, and as they are told."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.shadows import ShadowResults
from kaireon_core.learning.fallback import NO_FALLBACK, FallbackReason, Fallbacks, reason_of


class ShadowColumns(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one shadow said of the candidates that were scored, in their order.

    `scores`, float64, is None where it scored none of them; `reasons`, int8, where it scored all.
    """

    model_type: str
    scores: bytes | None = None
    reasons: bytes | None = None


class ShadowScore(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a shadow said of one candidate: a score with the model's type, or null with the reason."""

    score: float | None
    engine_type: str | UnsetType = UNSET
    reason: FallbackReason | UnsetType = UNSET


def write_shadows(results: ShadowResults | None, customer: int, scored: Mask) -> dict[str, ShadowColumns]:
    """Return what a trace keeps of the shadows of one customer, by key."""
    place = None if results is None else results.place_of(customer)
    if results is None or place is None:
        return {}
    return {
        one.key: _columns(one.model_type, one.values[place, scored], one.reasons[place, scored])
        for one in results.scores
    }


def _columns(model_type: str, values: Floats, reasons: Fallbacks) -> ShadowColumns:
    failed = reasons != NO_FALLBACK
    return ShadowColumns(
        model_type=model_type,
        scores=None if failed.all() else values.tobytes(),
        reasons=reasons.tobytes() if failed.any() else None,
    )


def read_shadows(shadows: Mapping[str, ShadowColumns], scored: Mask) -> list[dict[str, ShadowScore]]:
    """Return what each shadow said of every candidate, (C,); nothing of those that were not scored."""
    told: list[dict[str, ShadowScore]] = [{} for _ in range(len(scored))]
    rows: list[int] = np.flatnonzero(scored).tolist()
    for key, columns in shadows.items():
        nothing = np.zeros(len(rows))
        values = nothing if columns.scores is None else np.frombuffer(columns.scores, np.float64)
        reasons = nothing if columns.reasons is None else np.frombuffer(columns.reasons, np.int8)
        for row, value, code in zip(rows, values.tolist(), reasons.tolist(), strict=True):
            told[row][key] = _told(columns.model_type, value, int(code))
    return told


def _told(model_type: str, value: float, code: int) -> ShadowScore:
    reason = reason_of(code)
    return (
        ShadowScore(score=value, engine_type=model_type) if reason is None else ShadowScore(score=None, reason=reason)
    )
