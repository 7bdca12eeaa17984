from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.learning.measurement import (
    accuracy,
    area_standard_error,
    area_under_curve,
    calibration,
    classification_metrics,
    log_loss,
    regression_metrics,
)

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


SCORED = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9])), min_size=4, max_size=40)


@given(SCORED)
def test_the_standard_error_is_delongs(rows: list[tuple[bool, float]]) -> None:
    labels, scores = np.array([float(label) for label, _ in rows]), np.array([score for _, score in rows])
    positive, negative = scores[labels == 1], scores[labels == 0]
    found = area_standard_error(labels, scores)
    if min(len(positive), len(negative)) < 2:
        assert found is None
        return
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    assert found == pytest.approx(variance**0.5, abs=1e-9)


@given(SCORED)
def test_every_row_is_in_one_decile_and_the_best_come_first(rows: list[tuple[bool, float]]) -> None:
    labels, scores = np.array([float(label) for label, _ in rows]), np.array([score for _, score in rows])
    metrics = classification_metrics(labels, scores)
    lift = metrics["lift"]
    assert [one["decile"] for one in lift] == list(range(1, len(lift) + 1))
    assert sum(one["rows"] for one in lift) == sum(one["rows"] for one in metrics["calibration"]) == len(rows)
    assert sum(one["rows"] * one["positiveRate"] for one in lift) == pytest.approx(labels.sum())
    assert 0 <= metrics["calibrationError"] <= 1
    assert metrics["brier"] == pytest.approx(float(((scores - labels) ** 2).mean()))
    if labels.any():
        assert lift[0]["lift"] == pytest.approx(lift[0]["positiveRate"] / labels.mean())


def test_scores_that_are_the_rates_are_calibrated() -> None:
    labels = np.array([0.0, 0, 0, 1] * 100 + [0.0, 1, 1, 1] * 100)
    scores = np.repeat([0.25, 0.75], 400)
    assert classification_metrics(labels, scores)["calibrationError"] == pytest.approx(0, abs=1e-12)
    assert classification_metrics(labels, 1 - scores)["calibrationError"] == pytest.approx(0.5)


def test_a_regression_is_measured_by_its_errors() -> None:
    targets, scores = np.array([1.0, 2, 3, 6]), np.array([1.0, 3, 3, 4])
    metrics = regression_metrics(targets, scores)
    assert metrics == {"rmse": pytest.approx(1.25**0.5), "mae": 0.75, "r2": pytest.approx(1 - 5 / 14)}
    assert regression_metrics(np.ones(3), np.zeros(3))["r2"] is None
