"""From labelled rows to what a learner is given: labels, features, a split, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from kaireon_core.column import Column, Floats, Operator, compare
from kaireon_core.learning.feature import Encoder, Feature, FeatureKind, fit_feature

# What counts as positive when a model does not say.
DEFAULT_POSITIVES: tuple[object, ...] = (1, True, "yes")

MINIMUM_POSITIVES = 20
VALIDATION_SHARE = 0.2


class Refusal(StrEnum):
    """Why rows cannot be learnt from."""

    ONE_CLASS = "one_class"
    TOO_FEW_POSITIVES = "too_few_positives"
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
    """Rows ready to be learnt from, in order: (n, f) features, (n,) labels of 0 and 1.

    The rows from `validation_start` on are the last 20%, for validation.
    """

    features: tuple[Feature, ...]
    matrix: Floats
    labels: Floats
    validation_start: int


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
    labels = label_rows(target, positives)
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
    if labels[:start].min() == labels[:start].max():
        message = "the first 80% of the rows are of one class; the last 20% validate"
        raise TrainingRefused(Refusal.ONE_CLASS, message)
    return TrainingSet(features, np.column_stack(encoded), labels, start)


def _is_constant(values: Floats) -> bool:
    return bool(np.array_equal(values, np.full_like(values, values[0]), equal_nan=True))
