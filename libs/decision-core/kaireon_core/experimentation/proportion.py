"""A proportion, and how well it is known."""

from __future__ import annotations

import math

import msgspec
from scipy.special import ndtri


class Proportion(msgspec.Struct, frozen=True):
    """So many successes among so many independent trials."""

    successes: int
    trials: int

    @property
    def rate(self) -> float | None:
        """The share of successes, None without trials."""
        return self.successes / self.trials if self.trials else None


def wilson_interval(proportion: Proportion, confidence: float) -> tuple[float, float] | None:
    """Return the score interval of the rate, None without trials.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    n = proportion.trials
    if n == 0:
        return None
    z = normal_quantile((1 + confidence) / 2)
    rate = proportion.successes / n
    middle, shrink = rate + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At the ends the interval ends there too, which rounding may miss.
    low = 0.0 if proportion.successes == 0 else (middle - half) / shrink
    high = 1.0 if proportion.successes == n else (middle + half) / shrink
    return low, high


def normal_quantile(probability: float) -> float:
    """Return the quantile of the standard normal distribution."""
    return float(ndtri(probability))
