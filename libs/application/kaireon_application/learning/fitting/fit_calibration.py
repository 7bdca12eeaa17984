"""Fitting what turns raw scores into probabilities, and choosing between the ways."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.special import expit

from kaireon_application.learning.fitting.fit_linear import solved
from kaireon_core.column import Floats
from kaireon_core.learning.calibration import CalibrationMap, IsotonicMap, PlattMap, calibrate_by
from kaireon_core.learning.measurement import log_loss

Method: TypeAlias = Literal["none", "auto", "isotonic", "platt"]

# Of each class in each half of the rows; with fewer nothing is fitted.
_LEAST = 10
_STEPS = 100
_SMALL_STEP = 1e-12


def fit_calibration(method: Method, labels: Floats, raw: Floats) -> tuple[CalibrationMap | None, dict[str, Any]]:
    """Return the map from raw scores (log-odds) to probabilities, and how it was chosen.

    The rows, in order of time, are not those that grew the model. "auto" fits each way on the first half and takes the
    one with the smallest log-loss on the second, none included; what is taken is then fitted on all of them.
    """
    if method == "none":
        return None, {"method": "none"}
    half = len(labels) // 2
    if min(_rarer(labels[:half]), _rarer(labels[half:])) < _LEAST:
        return None, {"method": "none", "reason": f"fewer than {_LEAST} rows of a class in half of the held-out rows"}
    fitted = {name: fit(labels[:half], raw[:half]) for name, fit in _FITS.items()}
    losses = {
        name: log_loss(labels[half:], calibrate_by(map_)(raw[half:])) for name, map_ in {"none": None, **fitted}.items()
    }
    taken = min(losses, key=lambda name: losses[name]) if method == "auto" else method
    map_ = _FITS[taken](labels, raw) if taken in _FITS else None
    return map_, {"method": taken, "rows": len(labels), "logLoss": losses}


def _rarer(labels: Floats) -> int:
    positives = int(labels.sum())
    return min(positives, len(labels) - positives)


def fit_platt(labels: Floats, raw: Floats) -> PlattMap:
    """Return the most likely sigmoid by Newton's method, its targets drawn in a little.

    Platt 1999; Lin, Lin and Weng 2007.
    """
    positives = float(labels.sum())
    negatives = len(labels) - positives
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    columns = np.column_stack([raw, np.ones_like(raw)])
    weights: Floats = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    for _ in range(_STEPS):
        chance = expit(columns @ weights)
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = solved(curvature, columns.T @ (chance - targets), np.zeros(2))
        weights = weights - step
        if np.abs(step).max() < _SMALL_STEP:
            break
    # A falling sigmoid would turn the order around.
    return PlattMap(slope=max(float(weights[0]), 0.0), intercept=float(weights[1]))


def fit_isotonic(labels: Floats, raw: Floats) -> IsotonicMap:
    """Return the rising steps nearest to the labels, by pooling adjacent violators (Ayer et al. 1955).

    Steps are joined by straight lines, and kept off 0 and 1 by half a row.
    """
    points, inverse, counts = np.unique(raw, return_inverse=True, return_counts=True)
    sums = np.bincount(inverse, labels)
    blocks: list[tuple[float, float, int]] = []
    for total, count in zip(sums.tolist(), counts.tolist(), strict=True):
        block = (float(total), float(count), 1)
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    margin = 0.5 / len(labels)
    ends = np.cumsum([width for _, _, width in blocks])
    kept_points, values = list[float](), list[float]()
    for (total, count, width), end in zip(blocks, ends.tolist(), strict=True):
        value = min(max(total / count, margin), 1 - margin)
        # Both ends of a step; one point where they are the same.
        for place in dict.fromkeys((end - width, end - 1)):
            kept_points.append(float(points[place]))
            values.append(value)
    return IsotonicMap(points=tuple(kept_points), values=tuple(values))


_FITS: dict[str, Any] = {"platt": fit_platt, "isotonic": fit_isotonic}
