"""How two areas under ROC curves differ, each measured on rows of its own."""

from __future__ import annotations

import math

from scipy.special import ndtri


def area_difference(
    area: float, standard_error: float, other: float, other_standard_error: float, confidence: float
) -> tuple[float, float, float]:
    """Return the difference with its interval, held to [-1, 1].

    The errors are DeLong's (Biometrics 44, 1988); those of independent samples add as squares. For two models on the
    same rows, whose areas go together, the interval is wider than it need be.
    """
    difference = area - other
    half = float(ndtri((1 + confidence) / 2)) * math.hypot(standard_error, other_standard_error)
    return difference, max(-1.0, difference - half), min(1.0, difference + half)
