"""How good scores are, measured against labels."""

from __future__ import annotations

import numpy as np

from kaireon_core.column import Floats

_SMALLEST_PROBABILITY = 1e-15


def area_under_curve(labels: Floats, scores: Floats) -> float | None:
    """Return the area under the ROC curve, ties counted half (Mann-Whitney U); None when only one class is there."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mean_ranks[inverse][labels == 1].sum())
    return float(rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def log_loss(labels: Floats, scores: Floats) -> float:
    """Return the mean negative log-likelihood (natural logarithm) of the labels under the scores."""
    held = np.clip(scores, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return float(-np.mean(np.where(labels == 1, np.log(held), np.log1p(-held))))


def accuracy(labels: Floats, scores: Floats) -> float:
    """Return the fraction of rows whose label is positive exactly when the score is at least one half."""
    hits = (scores >= 0.5) == (labels == 1)  # noqa: PLR2004 - the even odds
    return int(np.count_nonzero(hits)) / len(labels)


def calibration(labels: Floats, scores: Floats, bins: int = 10) -> list[dict[str, float]]:
    """Return `{rows, meanScore, positiveRate}` of at most `bins` groups of rows of equal size, by rising score."""
    order = np.argsort(scores, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    return [
        {
            "rows": len(group),
            "meanScore": float(scores[group].mean()),
            "positiveRate": float(labels[group].mean()),
        }
        for group in groups
    ]
