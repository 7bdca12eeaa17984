"""Means over dependent rows: standard errors by cluster, and intervals that know about skewness."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from kaireon_core.column import Floats
from kaireon_core.learning.off_policy.log import Codes


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its standard error and the ends of its confidence interval."""

    value: float
    standard_error: float
    ci_lower: float
    ci_upper: float


def estimate_of(value: float, influence: Floats, clusters: Codes, confidence: float) -> Estimate:
    """Return the estimate whose error is the mean of `influence`, (n,); there are at least two clusters.

    Influences are summed by cluster (codes from 0); G clusters of which the sums T have the variance s^2 and the
    skewness g give the standard error sqrt(G) s / n. Rewards are rare and weights are heavy, so T is skewed, and the
    symmetrical interval misses on one side. Hall's monotone transformation (1992, JRSS B 54, p. 221, formula 2.2)
    takes the skewness out of the studentised mean t: h(t) = t + a t^2 + a^2 t^3 / 3 + g / (6 sqrt(G)) with
    a = g / (3 sqrt(G)) is distributed as Student's t with G - 1 degrees of freedom, and is solved for its quantiles.
    """
    totals = np.bincount(clusters, weights=influence)
    count = len(totals)
    totals = totals - totals.mean()
    spread = float(totals.std(ddof=1))
    error = spread * math.sqrt(count) / len(influence)
    if spread == 0.0:
        return Estimate(value, 0.0, value, value)
    skewness = float(((totals / spread) ** 3).mean())
    upper_quantile = _student_quantile(confidence, count - 1)
    low = _untransformed(upper_quantile, skewness, count)
    high = _untransformed(-upper_quantile, skewness, count)
    return Estimate(value, error, value - error * low, value - error * high)


def _student_quantile(confidence: float, degrees: int) -> float:
    """Return the t that |T| exceeds with probability 1 - confidence; T^2 / (T^2 + degrees) has a Beta distribution."""
    share: float = betaincinv(0.5, degrees / 2, confidence)
    return math.sqrt(degrees * share / (1.0 - share))


def _untransformed(quantile: float, skewness: float, count: int) -> float:
    """Return the t of which Hall's transformation is `quantile`."""
    bend = skewness / (3.0 * math.sqrt(count))
    if abs(bend) < 1e-9:  # noqa: PLR2004 - nothing to take out, and nothing to divide by
        return quantile
    return (math.cbrt(1.0 + 3.0 * bend * (quantile - bend / 2.0)) - 1.0) / bend
