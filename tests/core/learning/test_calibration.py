"""Probabilities that come true as often as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from kaireon_application.learning.fitting.fit_calibration import fit_calibration, fit_isotonic, fit_platt
from kaireon_core.learning.calibration import calibrate_by
from kaireon_core.learning.measurement import calibration, calibration_error

RNG = np.random.default_rng(11)
RAW = RNG.normal(size=20_000)


def labels_of(chance: np.ndarray) -> np.ndarray:
    return (RNG.random(len(chance)) < chance).astype(float)


def error_of(labels: np.ndarray, scores: np.ndarray) -> float:
    return calibration_error(calibration(labels, scores))


def test_a_sigmoid_that_was_turned_is_found_again() -> None:
    labels = labels_of(expit(0.5 * RAW - 1))
    found = fit_platt(labels, RAW)
    assert (found.slope, found.intercept) == (pytest.approx(0.5, abs=0.05), pytest.approx(-1, abs=0.05))


def test_the_better_way_is_chosen() -> None:
    chosen = {
        "none": expit(RAW),
        "platt": expit(0.3 * RAW - 2),
        "isotonic": np.where(RAW > 0.5, 0.8, 0.1),
    }
    for method, chance in chosen.items():
        labels = labels_of(chance)
        map_, told = fit_calibration("auto", labels, RAW)
        # What is calibrated already is left alone, or turned by next to nothing.
        assert told["method"] in ({"none", "platt"} if method == "none" else {method})
        assert told["logLoss"][told["method"]] == min(told["logLoss"].values())
        assert error_of(labels, calibrate_by(map_)(RAW)) < 0.015


@given(
    rows=st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
def test_steps_are_the_nearest_rising_ones(rows: list[tuple[int, bool]]) -> None:
    raw, labels = np.array([float(one) for one, _ in rows]), np.array([float(label) for _, label in rows])
    margin = 0.5 / len(rows)
    theirs: Any = IsotonicRegression().fit(raw, labels)
    expected = np.clip(np.asarray(theirs.predict(raw), float), margin, 1 - margin)
    found = fit_isotonic(labels, raw)
    assert calibrate_by(found)(raw) == pytest.approx(expected, abs=1e-9)
    assert list(found.points) == sorted(set(found.points))
    assert list(found.values) == sorted(found.values)


@pytest.mark.parametrize("method", ["none", "auto", "isotonic", "platt"])
def test_too_few_rows_leave_the_sigmoid(method: str) -> None:
    labels = np.array([1.0] * 9 + [0.0] * 100)
    map_, told = fit_calibration(method, labels, np.linspace(-1, 1, 109))  # pyright: ignore[reportArgumentType] - each of them
    assert (map_, told["method"]) == (None, "none")
    assert calibrate_by(map_)(np.array([logit(0.3)])) == pytest.approx(0.3)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30))
def test_a_row_is_calibrated_the_same_alone(raw: list[float]) -> None:
    for method in ("isotonic", "platt"):
        calibrate = calibrate_by(MAPS[method])
        together = calibrate(np.array(raw))
        assert [calibrate(np.array([one])).item() for one in raw] == together.tolist()
        assert ((together >= 0) & (together <= 1)).all()


MAPS = {"platt": fit_platt(labels_of(expit(RAW)), RAW), "isotonic": fit_isotonic(labels_of(expit(RAW)), RAW)}
