"""What an action is expected to earn: the regression inside the doubly robust estimator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Column, Floats, Kind
from kaireon_core.learning.off_policy.log import Codes, DecisionLog

FOLDS = 5
# A mean of a slot's action counts as if this many rows with the mean above it had been seen besides.
_SHRINKAGE = 20.0
_RIDGE = 10.0
_MOST_CATEGORIES = 20
_MOST_FEATURES = 64
_MOST_CELLS = 20_000_000
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class RewardModel:
    """Cross-fitted expectations: what row i is expected to earn with action a comes from the folds without row i.

    `folds` (n,) is the fold of each row; `cells` (F, S, A) the mean reward per fold left out, slot and action, shrunken
    to the action's and the slot's; `averages` (F, S) that of an action which was never seen; `residuals` (n,) what the
    row's attributes add, whatever the action.
    """

    folds: Codes
    cells: Floats
    averages: Floats
    residuals: Floats

    def matrix(self, log: DecisionLog, start: int, stop: int) -> Floats:
        """Return the expected reward of every action for these rows, (m, A)."""
        return self.cells[self.folds[start:stop], log.slots[start:stop]] + self.residuals[start:stop, None]

    def of_actions(self, log: DecisionLog, actions: Codes) -> Floats:
        """Return the expected reward of one action for each row, (n,); code -1 is an action that is not in the log."""
        known = self.cells[self.folds, log.slots, np.maximum(actions, 0)]
        return np.where(actions >= 0, known, self.averages[self.folds, log.slots]) + self.residuals

    def of_unseen(self, log: DecisionLog) -> Floats:
        """Return the expected reward of an action that is not in the log, for each row, (n,)."""
        return self.averages[self.folds, log.slots] + self.residuals


def fit_reward_model(log: DecisionLog) -> RewardModel:
    """Return the cross-fitted model of a log's rewards; no row is predicted by what its own cluster has earned.

    First comes a mean per slot and action, shrunken like a Bayesian's (James and Stein 1961), then a ridge regression
    of what is left on the attributes (Hoerl and Kennard 1970). Both are plain: the doubly robust estimator is unbiased
    with any model, and a better one only narrows its interval.
    """
    folds = _folds(log.clusters)
    shape = (FOLDS, len(log.slot_names), len(log.action_names))
    place = np.ravel_multi_index((folds, log.slots, log.actions), shape)
    size = int(np.prod(shape))
    counts = np.bincount(place, minlength=size).reshape(shape).astype(np.float64)
    sums = np.bincount(place, weights=log.rewards, minlength=size).reshape(shape)
    cells, averages = _shrunken(counts.sum(axis=0) - counts, sums.sum(axis=0) - sums)
    left = log.rewards - cells[folds, log.slots, log.actions]
    return RewardModel(folds, cells, averages, _ridge(_design(log.attributes, log.row_count), left, folds))


def _folds(clusters: Codes) -> Codes:
    """Return the fold of each row: that of its cluster, mixed, so that a log's own rhythm does not sort it."""
    mixed = (clusters.astype(np.uint64) + np.uint64(1)) * _MIX
    return ((mixed >> np.uint64(32)) % np.uint64(FOLDS)).astype(np.int64)


def _shrunken(counts: Floats, sums: Floats) -> tuple[Floats, Floats]:
    """Return the means (F, S, A), shrunken to those of the action in all slots, and the slots' own, (F, S)."""
    overall = sums.sum(axis=(1, 2)) / np.maximum(counts.sum(axis=(1, 2)), 1.0)
    by_slot = _means(counts.sum(axis=2), sums.sum(axis=2), overall[:, None])
    by_action = _means(counts.sum(axis=1), sums.sum(axis=1), overall[:, None])
    centre = by_action[:, None, :] + by_slot[:, :, None] - overall[:, None, None]
    return _means(counts, sums, centre), by_slot


def _means(counts: Floats, sums: Floats, centre: Floats) -> Floats:
    return (sums + _SHRINKAGE * centre) / (counts + _SHRINKAGE)


def _ridge(design: Floats, left: Floats, folds: Codes) -> Floats:
    """Return what the design (n, f) says of what is left, each row's from the other folds."""
    found = np.zeros(len(left))
    if design.shape[1] == 0:
        return found
    inside = [folds == fold for fold in range(FOLDS)]
    grams = [design[rows].T @ design[rows] for rows in inside]
    moments = [design[rows].T @ left[rows] for rows in inside]
    penalty = _RIDGE * np.eye(design.shape[1])
    gram, moment = np.sum(grams, axis=0), np.sum(moments, axis=0)
    for rows, own_gram, own_moment in zip(inside, grams, moments, strict=True):
        found[rows] = design[rows] @ np.linalg.solve(gram - own_gram + penalty, moment - own_moment)
    return found


def _design(attributes: Mapping[str, Column], row_count: int) -> Floats:
    """Return the attributes as numbers, (n, f): numbers standardised, words and booleans one column a value."""
    most = min(_MOST_FEATURES, _MOST_CELLS // max(row_count, 1))
    features: list[Floats] = []
    for name in sorted(attributes):
        features.extend(_standardised(one) for one in _numbers(attributes[name]))
    kept = [feature for feature in features if feature.any()][:most]
    return np.column_stack(kept) if kept else np.zeros((row_count, 0))


def _numbers(column: Column) -> list[Floats]:
    found: list[Floats] = []
    is_number = column.kinds == Kind.NUMBER
    if is_number.any():
        mean = float(column.numbers[is_number].mean())
        found.append(np.where(is_number, column.numbers, mean))
    is_word = (column.kinds == Kind.TEXT) | (column.kinds == Kind.BOOLEAN)
    if is_word.any():
        words = [str(value) for value in column.objects[is_word].tolist()]
        codes = np.full(len(is_word), "", np.object_)
        codes[is_word] = words
        common = sorted(Counter(words).items(), key=lambda one: (-one[1], one[0]))[:_MOST_CATEGORIES]
        found.extend((codes == word).astype(np.float64) for word, _ in common)
    return found


def _standardised(values: Floats) -> Floats:
    spread = float(values.std())
    return (values - values.mean()) / spread if np.isfinite(spread) and spread > 0 else np.zeros_like(values)
