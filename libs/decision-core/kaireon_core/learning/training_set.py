"""From labelled rows to what a learner is given: labels, features, a split, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Column, Floats, Operator, compare
from kaireon_core.learning.feature import Encoder, Feature, FeatureKind, fit_feature

# What counts as positive when a model does not say.
DEFAULT_POSITIVES: tuple[object, ...] = (1, True, "yes")

MINIMUM_POSITIVES = 20
# Of rows whose target is a number.
MINIMUM_ROWS = 50
VALIDATION_SHARE = 0.2


class Refusal(StrEnum):
    """Why rows cannot be learnt from."""

    ONE_CLASS = "one_class"
    TOO_FEW_POSITIVES = "too_few_positives"
    TOO_FEW_ROWS = "too_few_rows"
    CONSTANT_TARGET = "constant_target"
    CONSTANT_FEATURES = "constant_features"
    UNKNOWN_TARGET = "unknown_target"
    UNKNOWN_PREDICTOR = "unknown_predictor"
    UNKNOWN_TIME_FIELD = "unknown_time_field"
    UNKNOWN_SCHEMA = "unknown_schema"
    NO_PREDICTORS = "no_predictors"


class TrainingRefused(Exception):
    """These rows or this definition cannot be learnt from; another attempt would end the same way."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        """Carry the reason as a code and in words."""
        super().__init__(message)
        self.refusal = refusal
        self.message = message


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Rows ready to be learnt from, in order: (n, f) features, (n,) labels of 0 and 1, or the numbers of a regression.

    The rows from `validation_start` on are the last 20%, for validation. `places` (n,) says which of the rows that were
    given these are: those that have a label.
    """

    features: tuple[Feature, ...]
    matrix: Floats
    labels: Floats
    validation_start: int
    places: NDArray[np.int64]


def label_rows(target: Column, positives: Sequence[object] = DEFAULT_POSITIVES) -> Floats:
    """Return 1 where the target is one of `positives`, else 0; NaN where there is no label.

    Raises `TrainingRefused` unless both classes are there and there are enough positives.
    """
    labels = np.where(target.is_null, np.nan, compare(target, Operator.IN, list(positives)).astype(np.float64))
    _require_classes(labels[~target.is_null])
    return labels


def _require_classes(labels: Floats) -> None:
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        message = f"all {len(labels)} labelled rows are of one class; check targetField and config.positiveValue"
        raise TrainingRefused(Refusal.ONE_CLASS, message)
    if positives < MINIMUM_POSITIVES:
        message = f"{positives} positive rows are too few; at least {MINIMUM_POSITIVES} are needed"
        raise TrainingRefused(Refusal.TOO_FEW_POSITIVES, message)


def prepare_training_set(
    target: Column,
    predictors: Sequence[tuple[str, FeatureKind, Column]],
    positives: Sequence[object] = DEFAULT_POSITIVES,
) -> TrainingSet:
    """Return the labelled rows, in the order given, as numbers. Raises `TrainingRefused`."""
    prepared = _prepared(label_rows(target, positives), predictors)
    before = prepared.labels[: prepared.validation_start]
    if before.min() == before.max():
        message = "the first 80% of the rows are of one class; the last 20% validate"
        raise TrainingRefused(Refusal.ONE_CLASS, message)
    return prepared


def prepare_regression_set(target: Column, predictors: Sequence[tuple[str, FeatureKind, Column]]) -> TrainingSet:
    """Return the rows whose target is a number, in the order given. Raises `TrainingRefused`."""
    numbers = np.where(target.is_number, target.numbers, np.nan)
    known = numbers[~np.isnan(numbers)]
    if len(known) < MINIMUM_ROWS:
        message = f"{len(known)} rows with a number as target are too few; at least {MINIMUM_ROWS} are needed"
        raise TrainingRefused(Refusal.TOO_FEW_ROWS, message)
    if known.min() == known.max():
        message = f"the target is {known[0]:g} in all {len(known)} rows"
        raise TrainingRefused(Refusal.CONSTANT_TARGET, message)
    return _prepared(numbers, predictors)


def _prepared(labels: Floats, predictors: Sequence[tuple[str, FeatureKind, Column]]) -> TrainingSet:
    labelled = np.flatnonzero(~np.isnan(labels))
    columns = [column.take(labelled) for _, _, column in predictors]
    features = tuple(
        fit_feature(name, kind, column) for (name, kind, _), column in zip(predictors, columns, strict=True)
    )
    encoded = [Encoder(feature).encode(column) for feature, column in zip(features, columns, strict=True)]
    if all(_is_constant(values) for values in encoded):
        message = "every selected predictor has the same value in all rows"
        raise TrainingRefused(Refusal.CONSTANT_FEATURES, message)
    labels = labels[labelled]
    start = len(labels) - int(len(labels) * VALIDATION_SHARE)
    return TrainingSet(features, np.column_stack(encoded), labels, start, labelled)


def _is_constant(values: Floats) -> bool:
    return bool(np.array_equal(values, np.full_like(values, values[0]), equal_nan=True))
