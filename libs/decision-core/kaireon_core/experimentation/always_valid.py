"""Two proportions compared at any time and as often as one likes: peeking does no harm.

The mixture sequential probability ratio test (mSPRT) of a difference d with variance v against no difference, the
difference under the alternative being normal with deviation tau:

    L = sqrt(v / (v + tau^2)) exp(tau^2 d^2 / (2 v (v + tau^2))),    p = min(1, 1 / L)

By Ville's inequality L exceeds 1/a at any time with probability at most a when there is no difference, so p is below a
at any time with at most that probability. The confidence sequence are the differences that the test does not refuse:

    d +- sqrt(v (v + tau^2) / tau^2 (ln((v + tau^2) / v) - 2 ln a))

Sources: Robbins, Statistical methods related to the law of the iterated logarithm, Annals of Mathematical Statistics 41
(1970); Johari, Koomen, Pekelis, Walsh, Always valid inference: continuous monitoring of A/B tests, Operations Research
70 (2022).
"""

from __future__ import annotations

import math

import msgspec

from kaireon_core.experimentation.proportion import Proportion

# The difference is about normal once so many are expected to succeed, and to fail, in each: until then it is undecided.
MIN_EXPECTED = 10
# What L may reach before it is infinite.
_MAX_EXPONENT = 700.0


class SequentialComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A p-value and an interval that hold whenever one looks; 1 and everything until enough is known."""

    p_value: float
    ci_lower: float
    ci_upper: float


UNDECIDED = SequentialComparison(p_value=1.0, ci_lower=-1.0, ci_upper=1.0)


def compare_always(
    mine: Proportion, theirs: Proportion, confidence: float, deviation: float
) -> SequentialComparison | None:
    """Return how the rates differ, mine minus theirs; None while one of them has no trials.

    `deviation` is tau, in (0, 1]: about how large a difference is expected to be; it must not follow from the results.
    The variance is p1 (1 - p1) / n1 + p2 (1 - p2) / n2, each rate with two successes in four trials added (Agresti,
    Coull, The American Statistician 52, 1998), so that it is never zero.
    """
    if not (mine.trials and theirs.trials):
        return None
    if _least_expected(mine, theirs) < MIN_EXPECTED:
        return UNDECIDED
    difference = mine.successes / mine.trials - theirs.successes / theirs.trials
    variance, mixing = _variance(mine) + _variance(theirs), deviation * deviation
    total = variance + mixing
    logarithm = mixing * difference * difference / (2 * variance * total) + math.log(variance / total) / 2
    half = math.sqrt(variance * total / mixing * (math.log(total / variance) - 2 * math.log(1 - confidence)))
    return SequentialComparison(
        p_value=min(1.0, math.exp(-min(logarithm, _MAX_EXPONENT))),
        ci_lower=max(-1.0, difference - half),
        ci_upper=min(1.0, difference + half),
    )


def _least_expected(mine: Proportion, theirs: Proportion) -> float:
    """Return the smallest number of successes or failures to be expected of either, if their rates are the same."""
    rate = (mine.successes + theirs.successes) / (mine.trials + theirs.trials)
    return min(mine.trials, theirs.trials) * min(rate, 1 - rate)


def _variance(proportion: Proportion) -> float:
    trials = proportion.trials + 4
    rate = (proportion.successes + 2) / trials
    return rate * (1 - rate) / trials
