"""Drift: indices and tests with their known values, and verdicts at their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.drift import (
    EMPTY_SHARE,
    Comparison,
    Counts,
    KsTest,
    Verdict,
    compare,
    ks_test,
    ks_test_binned,
    severity,
    stability_index,
    worst,
)
from kaireon_core.learning.drift_bins import (
    CategoricalReference,
    NumericReference,
    binned_alike,
    binned_as_trained,
    binned_numbers,
)

Values = list[float | bool | str | None]
numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=60)
values: st.SearchStrategy[Values] = st.lists(
    st.none() | st.booleans() | st.floats(-5, 5) | st.sampled_from(["a", "b", "c"]), min_size=1, max_size=60
)
shares = st.lists(st.floats(0.01, 1), min_size=2, max_size=12)


def column(given_values: Values | list[float]) -> Column:
    return Column.from_values(list(given_values))


def compared(reference: Values, current: Values) -> Comparison:
    counts = binned_alike(column(reference), column(current))
    assert counts is not None
    return compare(counts)


def test_the_index_is_the_textbook_sum() -> None:
    expected, actual = np.array([50.0, 30.0, 20.0]), np.array([40.0, 40.0, 20.0])
    by_hand = (0.4 - 0.5) * math.log(0.4 / 0.5) + (0.4 - 0.3) * math.log(0.4 / 0.3)
    assert stability_index(expected, actual) == pytest.approx(by_hand)


def test_an_empty_bin_counts_as_one_in_ten_thousand() -> None:
    found = stability_index(np.array([100.0, 0.0]), np.array([90.0, 10.0]))
    by_hand = (0.9 - 1) * math.log(0.9) + (0.1 - EMPTY_SHARE) * math.log(0.1 / EMPTY_SHARE)
    assert found == pytest.approx(by_hand)


@given(shares, st.data())
def test_the_index_is_symmetric_and_no_less_than_zero(reference: list[float], data: st.DataObject) -> None:
    size = len(reference)
    current = data.draw(st.lists(st.floats(0.01, 1), min_size=size, max_size=size))
    forth = stability_index(np.array(reference), np.array(current))
    back = stability_index(np.array(current), np.array(reference))
    assert forth == pytest.approx(back, abs=1e-12)
    assert forth >= -1e-12
    assert stability_index(np.array(reference), np.array(reference) * 3) == pytest.approx(0, abs=1e-12)


@given(numbers, numbers)
def test_the_distance_is_that_of_the_two_distribution_functions(reference: list[float], current: list[float]) -> None:
    def below(sample: list[float], value: float) -> float:
        return sum(one <= value for one in sample) / len(sample)

    distance = max(abs(below(reference, value) - below(current, value)) for value in (*reference, *current))
    assert ks_test(np.array(reference), np.array(current)).statistic == pytest.approx(distance)


def test_the_p_value_is_near_the_exact_one() -> None:
    """The exact ones are those of `scipy.stats.ks_2samp(..., method="exact")` 1.17."""
    chance = np.random.default_rng(7)
    for shift, exact in ((0.0, 0.91655), (0.1, 0.15981), (0.3, 1.2265e-05)):
        samples = chance.normal(size=400), chance.normal(shift, size=300)
        assert ks_test(*samples).p_value == pytest.approx(exact, rel=0.25)


@given(numbers, numbers)
def test_a_binned_distance_is_at_most_the_true_one(reference: list[float], current: list[float]) -> None:
    both = np.array(reference), np.array(current)
    edges = np.linspace(-100, 100, 9)
    binned = ks_test_binned(*(np.histogram(one, edges)[0].astype(np.float64) for one in both))
    assert binned.statistic <= ks_test(*both).statistic + 1e-9


@pytest.mark.parametrize(
    ("psi", "statistic", "p_value", "verdict"),
    [
        (0.0999, 0.0, 1.0, Verdict.NONE),
        (0.1, 0.0, 1.0, Verdict.MONITOR),
        (0.2499, 0.0, 1.0, Verdict.MONITOR),
        (0.25, 0.0, 1.0, Verdict.ALERT),
        (0.0, 0.11, 0.049, Verdict.ALERT),
        (0.0, 0.1, 0.001, Verdict.NONE),
        (0.0, 0.5, 0.05, Verdict.NONE),
    ],
)
def test_the_verdict_changes_exactly_at_its_limits(
    psi: float, statistic: float, p_value: float, verdict: Verdict
) -> None:
    assert severity(psi, KsTest(statistic=statistic, p_value=p_value)) is verdict


def test_the_worst_verdict_counts() -> None:
    assert worst([]) is Verdict.NONE
    assert worst([Verdict.NONE, Verdict.ALERT, Verdict.MONITOR]) is Verdict.ALERT


@given(values)
def test_a_sample_has_not_drifted_from_itself(sample: Values) -> None:
    found = compared(sample, list(reversed(sample)))
    assert found.psi == pytest.approx(0, abs=1e-12)
    assert found.severity is Verdict.NONE
    assert found.reference_rows == found.current_rows == len(sample)


@given(values, values)
def test_every_row_is_in_a_bin(reference: Values, current: Values) -> None:
    counts = binned_alike(column(reference), column(current))
    assert counts is not None
    assert counts.reference.sum() + counts.reference_nulls == len(reference)
    assert counts.current.sum() + counts.current_nulls == len(current)


def test_a_shifted_distribution_is_an_alert_and_the_same_one_is_not() -> None:
    chance = np.random.default_rng(3)
    reference = chance.normal(size=5000).tolist()
    assert compared(reference, chance.normal(size=5000).tolist()).severity is Verdict.NONE
    assert compared(reference, chance.normal(0.6, size=5000).tolist()).severity is Verdict.ALERT


def test_what_chance_makes_of_the_index_is_foretold() -> None:
    """The mean PSI of many pairs of samples of one distribution lies near (B - 1)(1/n + 1/m)."""
    chance = np.random.default_rng(5)
    pairs = [compared(chance.normal(size=300).tolist(), chance.normal(size=200).tolist()) for _ in range(300)]
    expected = pairs[0].psi_by_chance
    assert expected == pytest.approx(9 * (1 / 300 + 1 / 200))
    assert np.mean([pair.psi for pair in pairs]) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([5.0] * 100, [3.0] * 100),
        ([5.0] * 100, [7.0] * 100),
        ([0.0, 1.0] * 50, [1.0] * 100),
        (["a", "b"] * 50, ["c"] * 100),
        ([True, False] * 50, [True] * 100),
        ([1.0, 2.0] * 50, [None] * 100),
        ([None] * 100, [1.0] * 100),
        ([1.0, 2.0] * 50, ["x"] * 100),
    ],
)
def test_what_has_plainly_moved_is_an_alert(reference: Values, current: Values) -> None:
    assert compared(reference, current).severity is Verdict.ALERT


def test_nothing_can_be_said_of_no_rows() -> None:
    assert binned_alike(column([]), column([1.0])) is None
    assert binned_alike(column([1.0]), column([])) is None
    assert binned_as_trained(NumericReference(edges=[], counts=[]), column([1.0])) is None
    assert binned_as_trained(CategoricalReference(counts={"a": 1}), column([])) is None


def trained(reference: NumericReference | CategoricalReference, current: Values) -> Counts:
    counts = binned_as_trained(reference, column(current))
    assert counts is not None
    return counts


def test_stored_numbers_keep_their_bins_and_the_outer_ones_are_open() -> None:
    stored = NumericReference(edges=[0, 1, 2, 3], counts=[10, 20, 30], nulls=4)
    counts = trained(stored, [-5.0, 0.5, 1.0, 2.0, 99.0, None, "x"])
    assert counts.reference.tolist() == [10, 20, 30]
    assert counts.current.tolist() == [2, 1, 2]
    assert (counts.reference_nulls, counts.current_nulls, counts.method) == (4, 2, "binned")


@pytest.mark.parametrize("current", [3.0, 7.0, None])
def test_a_stored_constant_that_moves_is_an_alert(current: float | None) -> None:
    stored = NumericReference(edges=[5, 5], counts=[100])
    assert compare(trained(stored, [5.0] * 100)).severity is Verdict.NONE
    assert compare(trained(stored, [current] * 100)).severity is Verdict.ALERT


def test_numbers_where_training_has_seen_only_nulls_are_an_alert() -> None:
    stored = NumericReference(edges=[], counts=[], nulls=100)
    assert compare(trained(stored, [None] * 50)).severity is Verdict.NONE
    assert compare(trained(stored, [1.0] * 50)).severity is Verdict.ALERT


def test_stored_categories_count_what_is_not_listed_together() -> None:
    stored = CategoricalReference(counts={"a": 50, "true": 30}, nulls=5, other=15)
    counts = trained(stored, ["a", True, "new", "newer", None])
    assert counts.reference.tolist() == [50, 30, 15]
    assert counts.current.tolist() == [1, 1, 2]
    assert (counts.current_nulls, counts.ks) == (1, None)


def test_weighted_scores_weigh_what_they_should() -> None:
    counts = binned_numbers([0, 0.5, 1], [5, 5], np.array([0.1, 0.2, 0.9]), np.array([0.5, 0.5, 1.0]))
    assert counts.current.tolist() == [1, 1]
    assert compare(counts).current_rows == 2
