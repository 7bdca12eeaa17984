from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.learning.measurement import accuracy, area_under_curve, calibration, log_loss

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4).map(lambda n: n / 4)), min_size=1, max_size=30)


def arrays(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([row[0] for row in rows], float), np.array([row[1] for row in rows], float)


@given(rows=ROWS)
def test_auc_is_the_chance_that_a_positive_outranks_a_negative(rows: list[tuple[int, float]]) -> None:
    positives = [score for label, score in rows if label]
    negatives = [score for label, score in rows if not label]
    found = area_under_curve(*arrays(rows))
    if not positives or not negatives:
        assert found is None
        return
    wins = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    assert found == pytest.approx(wins / (len(positives) * len(negatives)), abs=1e-12)


@given(rows=ROWS)
def test_calibration_covers_every_row_once(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    groups = calibration(labels, scores)
    assert sum(group["rows"] for group in groups) == len(rows)
    assert sum(group["rows"] * group["positiveRate"] for group in groups) == pytest.approx(labels.sum())
    means = [group["meanScore"] for group in groups]
    assert means == sorted(means)


def test_log_loss_and_accuracy() -> None:
    labels, scores = np.array([1.0, 0.0]), np.array([0.8, 0.6])
    assert log_loss(labels, scores) == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    assert accuracy(labels, scores) == 0.5


def test_log_loss_of_certainty_is_finite() -> None:
    assert math.isfinite(log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0])))


@given(rows=ROWS)
def test_measures_are_plain_numbers(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    found = [area_under_curve(labels, scores), log_loss(labels, scores), accuracy(labels, scores)]
    found += [value for group in calibration(labels, scores) for value in group.values()]
    assert {type(value) for value in found} <= {int, float, type(None)}
