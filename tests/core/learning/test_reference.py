"""The histograms that drift is measured from."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.drift import Verdict, compare
from kaireon_core.learning.drift_bins import TrainingReference, binned_as_trained, binned_numbers
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


def test_few_numbers_have_a_bin_each() -> None:
    column = Column.from_values([0.0, 1.0, 1.0, 0.0, 1.0, None])
    found = reference_of([("x", FeatureKind.NUMERIC, column)], np.zeros(1))["features"]["x"]
    assert found == {"kind": "numeric", "edges": [0, 1, 1], "counts": [2, 3], "nulls": 1}


@given(st.lists(st.none() | st.integers(0, 40) | st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_data_has_not_drifted_from_its_own_histogram(values: list[object]) -> None:
    column = Column.from_values(values)
    reference = reference_of([("x", FeatureKind.NUMERIC, column)], np.array([0.5, 0.75]))
    stored = msgspec.convert(reference, TrainingReference)
    counts = binned_as_trained(stored.features["x"], column)
    assert counts is not None
    found = compare(counts)
    assert (found.psi, found.severity) == (pytest.approx(0, abs=1e-12), Verdict.NONE)
    assert stored.score is not None
    assert compare(binned_numbers(stored.score.edges, stored.score.counts, np.array([0.75, 0.5]), np.ones(2))).psi == 0


def test_ones_and_zeros_that_changed_places_are_an_alert() -> None:
    before, after = [0.0] * 80 + [1.0] * 20, [0.0] * 20 + [1.0] * 80
    reference = reference_of([("x", FeatureKind.NUMERIC, Column.from_values(before))], np.zeros(1))
    stored = msgspec.convert(reference, TrainingReference)
    counts = binned_as_trained(stored.features["x"], Column.from_values(after))
    assert counts is not None
    assert compare(counts).severity is Verdict.ALERT


def test_the_most_frequent_values_are_named() -> None:
    values = [*(f"v{number:03}" for number in range(60)), "v007", True, 5, None]
    found = reference_of([("x", FeatureKind.TEXT, Column.from_values(values))], np.zeros(1))
    counted = found["features"]["x"]
    assert (len(counted["counts"]), counted["other"], counted["nulls"]) == (50, 12, 1)
    assert next(iter(counted["counts"].items())) == ("v007", 2)
    assert counted["counts"]["true"] == counted["counts"]["5"] == 1
    assert found["score"] == {"edges": [0, 0], "counts": [1]}
