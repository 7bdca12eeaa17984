"""Two proportions compared once, at an end that was fixed beforehand."""

from __future__ import annotations

import math

import msgspec
from scipy.special import ndtr

from kaireon_core.experimentation.proportion import Proportion, wilson_interval


class FixedComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A z-test of equal rates with a pooled standard error, two-tailed, and an interval of the difference."""

    z_score: float
    p_value: float
    ci_lower: float
    ci_upper: float


def compare_once(mine: Proportion, theirs: Proportion, confidence: float) -> FixedComparison | None:
    """Return how the rates differ, mine minus theirs; None while one of them has no trials.

    z = (p1 - p2) / sqrt(p (1 - p) (1/n1 + 1/n2)), p the rate of both together; 0 where all or none succeeded.
    The interval is the hybrid score interval of two Wilson intervals: Newcombe, Interval estimation for the difference
    between independent proportions, Statistics in Medicine 17 (1998), method 10.
    """
    own, other = wilson_interval(mine, confidence), wilson_interval(theirs, confidence)
    if own is None or other is None:
        return None
    first, second = mine.successes / mine.trials, theirs.successes / theirs.trials
    difference = first - second
    pooled = (mine.successes + theirs.successes) / (mine.trials + theirs.trials)
    error = math.sqrt(pooled * (1 - pooled) * (1 / mine.trials + 1 / theirs.trials))
    z_score = difference / error if error else 0.0
    return FixedComparison(
        z_score=z_score,
        p_value=float(2 * ndtr(-abs(z_score))),
        ci_lower=difference - math.hypot(first - own[0], other[1] - second),
        ci_upper=difference + math.hypot(own[1] - first, second - other[0]),
    )
