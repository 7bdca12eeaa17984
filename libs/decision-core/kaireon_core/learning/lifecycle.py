"""Where a model may go next in its deployment lifecycle, and what holds it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kaireon_core.learning.definitions import RollbackThresholds


class RegistryStatus(StrEnum):
    """How far a model is deployed. At most one champion per (tenant, family)."""

    DRAFT = "draft"
    SHADOW = "shadow"
    CHALLENGER = "challenger"
    CHAMPION = "champion"
    ARCHIVED = "archived"


TRANSITIONS: dict[RegistryStatus, frozenset[RegistryStatus]] = {
    RegistryStatus.DRAFT: frozenset({RegistryStatus.SHADOW, RegistryStatus.CHALLENGER, RegistryStatus.ARCHIVED}),
    RegistryStatus.SHADOW: frozenset(
        {RegistryStatus.CHALLENGER, RegistryStatus.CHAMPION, RegistryStatus.ARCHIVED, RegistryStatus.DRAFT}
    ),
    RegistryStatus.CHALLENGER: frozenset(
        {RegistryStatus.CHAMPION, RegistryStatus.SHADOW, RegistryStatus.ARCHIVED, RegistryStatus.DRAFT}
    ),
    RegistryStatus.CHAMPION: frozenset({RegistryStatus.CHALLENGER, RegistryStatus.SHADOW, RegistryStatus.ARCHIVED}),
    RegistryStatus.ARCHIVED: frozenset({RegistryStatus.DRAFT}),
}

_Fraction = Annotated[float, Meta(ge=0, le=1)]


class GuardedMetrics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the rollback guard reads of a snapshot of metrics; whatever else stands there is kept and not looked at."""

    auc: _Fraction | None = None
    error_rate: _Fraction | None = None
    psi: Annotated[float, Meta(ge=0)] | None = None


# A drop of exactly the threshold does not trip; this keeps 0.90 - 0.85 from being more than 0.05.
_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class GuardResult:
    """What the rollback guard found: the tests that tripped, in words, and those that lacked an input."""

    breaches: tuple[str, ...]
    skipped: tuple[str, ...]


def check_rollback_guard(
    candidate: Mapping[str, Any], champion: Mapping[str, Any], thresholds: RollbackThresholds
) -> GuardResult:
    """Compare a candidate's metrics at promotion with the champion's baseline.

    AUC more than `max_auc_drop` below and error rate more than `max_error_rate` above the champion's trip, and so
    does a population stability index of the scores of `max_psi` or more.
    """
    breaches: list[str] = []
    skipped: list[str] = []
    for metric, sign, limit in (("auc", -1, thresholds.max_auc_drop), ("errorRate", 1, thresholds.max_error_rate)):
        new, baseline = _number(candidate, metric), _number(champion, metric)
        if new is None or baseline is None:
            skipped.append(metric)
        elif round(sign * (new - baseline), _DECIMALS) > limit:
            side = "below" if sign < 0 else "above"
            breaches.append(f"{metric} {new:g} is more than {limit:g} {side} the champion's {baseline:g}")
    psi = _number(candidate, "psi")
    if psi is None:
        skipped.append("psi")
    elif psi >= thresholds.max_psi:
        breaches.append(f"psi {psi:g} is at least {thresholds.max_psi:g}")
    return GuardResult(tuple(breaches), tuple(skipped))


def _number(metrics: Mapping[str, Any], name: str) -> float | None:
    value = metrics.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def split_weight(total: int, challengers: Sequence[str]) -> tuple[int, ...]:
    """Return whole weights that add up to `total`, as even as can be, larger ones first."""
    if not challengers:
        return ()
    share, rest = divmod(total, len(challengers))
    return tuple(share + (index < rest) for index in range(len(challengers)))
