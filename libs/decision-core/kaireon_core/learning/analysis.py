"""What every analysis has in common: why rows cannot be analysed, and how sure of a rate one may be."""

from __future__ import annotations

from enum import StrEnum

import msgspec
import numpy as np
from scipy.special import ndtri

from kaireon_core.column import Floats

CONFIDENCE = 0.95


class AnalysisRefusal(StrEnum):
    """Why there is nothing to say about these rows."""

    TOO_FEW_ROWS = "too_few_rows"
    NO_FIELDS = "no_fields"
    CONSTANT_FEATURES = "constant_features"
    TOO_FEW_CREATIVES = "too_few_creatives"
    TOO_FEW_OUTCOMES = "too_few_outcomes"


class AnalysisRefused(Exception):
    """These rows cannot be analysed; another attempt on the same rows would end the same way."""

    def __init__(self, refusal: AnalysisRefusal, message: str) -> None:
        """Carry the reason as a code and in words."""
        super().__init__(message)
        self.refusal = refusal
        self.message = message


class Rate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How often something went well, with its Wilson interval; `rate` is null where nothing was counted."""

    count: int
    positives: int
    rate: float | None
    ci_lower: float
    ci_upper: float


def rate_of(positives: float, count: float, confidence: float = CONFIDENCE) -> Rate:
    """Return a rate with its interval at this confidence."""
    lower, upper = wilson_interval(positives, count, confidence)
    return Rate(
        count=int(count),
        positives=int(positives),
        rate=positives / count if count else None,
        ci_lower=lower,
        ci_upper=upper,
    )


def wilson_interval(positives: float, count: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the Wilson score interval of a rate; [0, 1] where nothing was counted.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n): Wilson, J. Am. Stat. Assoc. 22 (1927), 209.
    """
    if count <= 0:
        return 0.0, 1.0
    z = float(ndtri((1 + confidence) / 2))
    p, shrink = positives / count, 1 + z * z / count
    middle = (p + z * z / (2 * count)) / shrink
    half = z / shrink * float(np.sqrt(p * (1 - p) / count + z * z / (4 * count * count)))
    return max(0.0, middle - half), min(1.0, middle + half)


def two_rates_gain(positives: Floats, counts: Floats, all_positives: float, all_count: float) -> Floats:
    """Return by how much two rates explain the outcomes better than one, in log-likelihood (natural logarithm).

    `positives` and `counts` (n,) are those of one side of n ways to split the same outcomes.
    """
    whole = _log_likelihood(np.array([all_positives]), np.array([all_count]))
    sides = _log_likelihood(positives, counts) + _log_likelihood(all_positives - positives, all_count - counts)
    return sides - whole


def _log_likelihood(positives: Floats, counts: Floats) -> Floats:
    """Return the greatest log-likelihood of binomial outcomes, without the binomial coefficient."""
    negatives, held = counts - positives, np.maximum(counts, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(part > 0, part * np.log(part / held), 0.0) for part in (positives, negatives)]
    return parts[0] + parts[1]
