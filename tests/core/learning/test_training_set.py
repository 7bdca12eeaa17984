from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kaireon_core.column import Column
from kaireon_core.learning.feature import FeatureKind
from kaireon_core.learning.training_set import Refusal, TrainingRefused, label_rows, prepare_training_set

MANY = 100


def column(*values: Any) -> Column:
    return Column.from_values(list(values))


def labelled(positives: int, negatives: int) -> Column:
    return column(*(index % (positives + negatives) < positives for index in range(positives + negatives)))


@pytest.mark.parametrize(
    ("values", "positives", "expected"),
    [
        ([1, 0, 2, None], None, [1, 0, 0, np.nan]),
        ([True, False, None], None, [1, 0, np.nan]),
        (["yes", "no", "Yes", "1"], None, [1, 0, 0, 0]),
        (["Y", "N", None], ("Y",), [1, 0, np.nan]),
        ([2, 1, 2.0], (2,), [1, 0, 1]),
        (["2", 1, 0], (2,), [0, 0, 0]),
    ],
)
def test_labels(values: list[Any], positives: tuple[Any, ...] | None, expected: list[float]) -> None:
    # Enough further rows of both classes that nothing is refused.
    positive, negative = (positives or (True,))[0], "neither"
    target = column(*values, *[positive] * MANY, *[negative] * MANY)
    labels = label_rows(target, positives) if positives else label_rows(target)
    assert np.array_equal(labels[: len(values)], expected, equal_nan=True)


@pytest.mark.parametrize(
    ("target", "feature", "refusal"),
    [
        (labelled(0, MANY), range(MANY), Refusal.ONE_CLASS),
        (labelled(MANY, 0), range(MANY), Refusal.ONE_CLASS),
        (labelled(19, 81), range(MANY), Refusal.TOO_FEW_POSITIVES),
        (column(), (), Refusal.ONE_CLASS),
        (labelled(50, 50), [7] * MANY, Refusal.CONSTANT_FEATURES),
        (labelled(50, 50), [None] * MANY, Refusal.CONSTANT_FEATURES),
        (labelled(80, 20), range(MANY), Refusal.ONE_CLASS),
    ],
)
def test_refusals(target: Column, feature: Any, refusal: Refusal) -> None:
    with pytest.raises(TrainingRefused) as caught:
        prepare_training_set(target, [("x", FeatureKind.NUMERIC, column(*feature))])
    assert caught.value.refusal == refusal


def test_the_last_fifth_validates_and_rows_without_label_are_left_out() -> None:
    target = column(None, *(index % 3 == 0 for index in range(100)))
    values = column(*range(101))
    rows = prepare_training_set(target, [("x", FeatureKind.NUMERIC, values)])
    assert rows.validation_start == 80
    assert rows.matrix[:, 0].tolist() == list(range(1, 101))


def test_a_feature_that_varies_only_between_null_and_one_value_is_no_constant() -> None:
    target = labelled(50, 50)
    interleaved = target.take(np.argsort(np.arange(100) % 2, kind="stable"))
    rows = prepare_training_set(interleaved, [("x", FeatureKind.TEXT, column(*(["a", None] * 50)))])
    assert rows.features[0].categories == ("a",)
