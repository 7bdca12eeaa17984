"""The histograms that drift is measured from."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.feature import FeatureKind
from kaireon_core.learning.reference import reference_of

NUMBERS = st.lists(st.none() | st.floats(-1e6, 1e6) | st.just("text"), min_size=1, max_size=200)


@given(NUMBERS)
def test_every_number_is_in_one_bin(values: list[object]) -> None:
    column = Column.from_values(values)
    found = reference_of([("x", FeatureKind.NUMERIC, column)], np.array([0.5, 0.5]))["features"]["x"]
    numbers = [value for value in values if isinstance(value, float)]
    assert sum(found["counts"]) == len(numbers)
    assert found["nulls"] == len(values) - len(numbers)
    assert len(found["counts"]) <= 20
    if numbers:
        assert len(found["edges"]) == len(found["counts"]) + 1
        assert (found["edges"][0], found["edges"][-1]) == (min(numbers), max(numbers))


def test_the_most_frequent_values_are_named() -> None:
    values = [*(f"v{number:03}" for number in range(60)), "v007", True, 5, None]
    found = reference_of([("x", FeatureKind.TEXT, Column.from_values(values))], np.zeros(1))
    counted = found["features"]["x"]
    assert (len(counted["counts"]), counted["other"], counted["nulls"]) == (50, 12, 1)
    assert next(iter(counted["counts"].items())) == ("v007", 2)
    assert counted["counts"]["true"] == counted["counts"]["5"] == 1
    assert found["score"] == {"edges": [0, 0], "counts": [1]}
