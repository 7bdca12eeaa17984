"""How good scores are, measured against labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from kaireon_core.column import Floats

_SMALLEST_PROBABILITY = 1e-15
_GROUPS = 10


def area_under_curve(labels: Floats, scores: Floats) -> float | None:
    """Return the area under the ROC curve, ties counted half (Mann-Whitney U); None when only one class is there."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return None
    rank_sum = float(_mid_ranks(scores)[labels == 1].sum())
    return float(rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def area_standard_error(labels: Floats, scores: Floats) -> float | None:
    """Return the standard error of the area under the ROC curve; None with fewer than two rows of either class.

    DeLong, DeLong and Clarke-Pearson 1988, by mid-ranks (Sun and Xu 2014).
    """
    is_positive = labels == 1
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if min(positives, negatives) < 2:  # noqa: PLR2004 - a variance needs two
        return None
    ranks = _mid_ranks(scores)
    # For each positive the share of negatives below it, and for each negative the share of positives above it.
    above = (ranks[is_positive] - _mid_ranks(scores[is_positive])) / negatives
    below = 1 - (ranks[~is_positive] - _mid_ranks(scores[~is_positive])) / positives
    return float(np.sqrt(above.var(ddof=1) / positives + below.var(ddof=1) / negatives))


def _mid_ranks(scores: Floats) -> Floats:
    """Return the rank of each score from 1, the mean of their ranks for equal ones."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks: Floats = np.cumsum(counts) - (counts - 1) / 2
    return mean_ranks[inverse]


def log_loss(labels: Floats, scores: Floats) -> float:
    """Return the mean negative log-likelihood (natural logarithm) of the labels under the scores."""
    held = np.clip(scores, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return float(-np.mean(np.where(labels == 1, np.log(held), np.log1p(-held))))


def brier_score(labels: Floats, scores: Floats) -> float:
    """Return the mean squared difference of score and label (Brier 1950)."""
    return float(np.mean((scores - labels) ** 2))


def accuracy(labels: Floats, scores: Floats) -> float:
    """Return the fraction of rows whose label is positive exactly when the score is at least one half."""
    hits = (scores >= 0.5) == (labels == 1)  # noqa: PLR2004 - the even odds
    return int(np.count_nonzero(hits)) / len(labels)


def calibration(labels: Floats, scores: Floats, bins: int = _GROUPS) -> list[dict[str, float]]:
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


def calibration_error(table: list[dict[str, float]]) -> float:
    """Return the expected calibration error of groups of equal size: the mean over rows of |score - rate| of its group.

    Naeini, Cooper and Hauskrecht 2015, with groups of equal size in place of equal width.
    """
    rows = sum(group["rows"] for group in table)
    return sum(group["rows"] * abs(group["meanScore"] - group["positiveRate"]) for group in table) / rows


def lift_by_decile(labels: Floats, scores: Floats) -> list[dict[str, float | None]]:
    """Return `{decile, rows, positiveRate, lift}` of at most ten groups of equal size, the highest scores first.

    `lift` is the group's rate over that of all rows, None where no row is positive.
    """
    order = np.argsort(-scores, kind="stable")
    overall = float(labels.mean())
    groups = [group for group in np.array_split(order, _GROUPS) if len(group)]
    rates = [float(labels[group].mean()) for group in groups]
    return [
        {
            "decile": number,
            "rows": len(group),
            "positiveRate": rate,
            "lift": rate / overall if overall > 0 else None,
        }
        for number, (group, rate) in enumerate(zip(groups, rates, strict=True), 1)
    ]


def classification_metrics(labels: Floats, scores: Floats) -> dict[str, Any]:
    """Return every measure of scores that are probabilities, under the names of the API."""
    table = calibration(labels, scores)
    return {
        "auc": area_under_curve(labels, scores),
        "aucStandardError": area_standard_error(labels, scores),
        "logLoss": log_loss(labels, scores),
        "brier": brier_score(labels, scores),
        "accuracy": accuracy(labels, scores),
        "calibrationError": calibration_error(table),
        "calibration": table,
        "lift": lift_by_decile(labels, scores),
    }


def regression_metrics(targets: Floats, scores: Floats) -> dict[str, Any]:
    """Return the root mean squared error, the mean absolute one, and the share of variance explained.

    `r2` is None where all targets are the same.
    """
    errors = scores - targets
    spread = float(np.sum((targets - targets.mean()) ** 2))
    return {
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.mean(np.abs(errors))),
        "r2": 1 - float(np.sum(errors**2)) / spread if spread > 0 else None,
    }
