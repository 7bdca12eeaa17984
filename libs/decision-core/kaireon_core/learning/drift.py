"""Whether data has moved away from what it was: population stability index, Kolmogorov and Smirnov, a verdict.

Sources: PSI, Siddiqi, Credit Risk Scorecards (2006), ch. 9; what chance alone makes of it, Yurdakul and Naranjo,
Statistical properties of the population stability index (2020); the two-sample test, Press et al., Numerical Recipes
(3rd ed.), 14.3.3, after Stephens (1970).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from scipy.special import kolmogorov

from kaireon_core.column import Floats

# The share that an empty bin is taken to have: a logarithm needs one.
EMPTY_SHARE = 1e-4
MONITOR_PSI = 0.1
ALERT_PSI = 0.25
SIGNIFICANT_P = 0.05
ALERT_D = 0.1


class Verdict(StrEnum):
    """How far something has moved."""

    NONE = "none"
    MONITOR = "monitor"
    ALERT = "alert"


class KsTest(msgspec.Struct, frozen=True, kw_only=True):
    """A two-sample test: the largest distance of the two distribution functions, and how likely chance makes it."""

    statistic: float
    p_value: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was found of one feature, or of the scores.

    `psiByChance` is the PSI to be expected of samples of these sizes when nothing has moved; `ksStatistic` and
    `ksPValue` are null where values have no order. `ksMethod` is `exact` over values, `binned` over the edges of a
    stored histogram, which finds at most the true distance.
    """

    kind: str
    reference_rows: int
    current_rows: int
    psi: float
    psi_by_chance: float
    ks_statistic: float | None
    ks_p_value: float | None
    ks_method: str | None
    severity: Verdict


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Two samples in the same bins, nulls apart; `method` says how the test was made, None where there is none."""

    kind: str
    reference: Floats
    current: Floats
    reference_nulls: float = 0
    current_nulls: float = 0
    ks: KsTest | None = None
    method: str | None = None


def compare(counts: Counts) -> Comparison:
    """Return what two samples in the same bins say; nulls are a bin of their own when there are any."""
    reference, current = _with_nulls(counts)
    psi = stability_index(reference, current)
    bins = int(np.count_nonzero(reference + current))
    rows = float(reference.sum()), float(current.sum())
    return Comparison(
        kind=counts.kind,
        reference_rows=round(rows[0]),
        current_rows=round(rows[1]),
        psi=psi,
        psi_by_chance=(bins - 1) * (1 / rows[0] + 1 / rows[1]),
        ks_statistic=counts.ks.statistic if counts.ks else None,
        ks_p_value=counts.ks.p_value if counts.ks else None,
        ks_method=counts.method,
        severity=severity(psi, counts.ks),
    )


def stability_index(reference: Floats, current: Floats) -> float:
    """Return the PSI of two histograms over the same bins: the sum of (a - e) ln(a / e) over their shares."""
    expected = np.maximum(reference / reference.sum(), EMPTY_SHARE)
    actual = np.maximum(current / current.sum(), EMPTY_SHARE)
    return float(((actual - expected) * np.log(actual / expected)).sum())


def ks_test(reference: Floats, current: Floats) -> KsTest:
    """Return the two-sided test of two samples of numbers, each with at least one."""
    values = np.concatenate([reference, current])
    below_reference = np.searchsorted(np.sort(reference), values, side="right") / len(reference)
    below_current = np.searchsorted(np.sort(current), values, side="right") / len(current)
    return _tested(float(np.abs(below_reference - below_current).max()), len(reference), len(current))


def ks_test_binned(reference: Floats, current: Floats) -> KsTest:
    """Return the test at the edges of bins, which finds at most the true distance; counts may be weights."""
    rows = float(reference.sum()), float(current.sum())
    distance = np.abs(np.cumsum(reference) / rows[0] - np.cumsum(current) / rows[1])
    return _tested(float(distance.max()), *rows)


def severity(psi: float, ks: KsTest | None) -> Verdict:
    """Return the verdict on one feature."""
    if psi >= ALERT_PSI or (ks is not None and ks.p_value < SIGNIFICANT_P and ks.statistic > ALERT_D):
        return Verdict.ALERT
    return Verdict.MONITOR if psi >= MONITOR_PSI else Verdict.NONE


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the gravest of some verdicts; none of none."""
    return max(verdicts, key=list(Verdict).index, default=Verdict.NONE)


def _tested(distance: float, reference_rows: float, current_rows: float) -> KsTest:
    """Return the test with its p-value: Kolmogorov's Q at Stephens' argument for finite samples."""
    effective = np.sqrt(reference_rows * current_rows / (reference_rows + current_rows))
    p_value: Any = kolmogorov((effective + 0.12 + 0.11 / effective) * distance)
    return KsTest(statistic=distance, p_value=float(p_value))


def _with_nulls(counts: Counts) -> tuple[Floats, Floats]:
    if not counts.reference_nulls and not counts.current_nulls:
        return counts.reference, counts.current
    return (
        np.append(counts.reference, counts.reference_nulls),
        np.append(counts.current, counts.current_nulls),
    )
