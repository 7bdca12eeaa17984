"""The difference of two areas, and how often its interval covers the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.learning.area_difference import area_difference
from kaireon_core.learning.measurement import area_standard_error, area_under_curve

areas, errors = st.floats(0, 1), st.floats(0, 0.2)


@given(area=areas, error=errors, other=areas, other_error=errors)
def test_law_the_difference_lies_in_its_interval_and_has_no_side(
    area: float, error: float, other: float, other_error: float
) -> None:
    value, lower, upper = area_difference(area, error, other, other_error, 0.95)
    assert -1 <= lower <= value <= upper <= 1
    back = area_difference(other, other_error, area, error, 0.95)
    assert back == pytest.approx((-value, -upper, -lower))


def test_the_interval_covers_the_true_difference() -> None:
    chance, covered, runs = np.random.default_rng(3), 0, 400
    # Normal scores whose classes lie d apart have the area Phi(d / sqrt 2).
    truth = 0.7602499389065233 - 0.6381631950841185
    for _ in range(runs):
        found: list[float] = []
        for apart in (1.0, 0.5):
            labels = (chance.random(600) < 0.3).astype(np.float64)
            scores = chance.normal(size=600) + apart * labels
            area, error = area_under_curve(labels, scores), area_standard_error(labels, scores)
            assert area is not None
            assert error is not None
            found += [area, error]
        _, lower, upper = area_difference(found[0], found[1], found[2], found[3], 0.95)
        covered += lower <= truth <= upper
    assert 0.92 <= covered / runs <= 0.98
