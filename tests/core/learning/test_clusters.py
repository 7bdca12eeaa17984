"""From rows to points, and from clusters back to words and conditions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column, Operator, compile_test
from kaireon_core.learning.analysis import AnalysisRefusal, AnalysisRefused
from kaireon_core.learning.cluster_filters import Step, best_filters
from kaireon_core.learning.cluster_matrix import MOST_AXES, MOST_LEVELS, ClusterField, ClusterMatrix, cluster_matrix
from kaireon_core.learning.cluster_profile import by_size, cluster_name, describe_cluster
from kaireon_core.learning.feature import FeatureKind
from tests.core.learning.planted import cluster_fields, planted_rows


def field(name: str, kind: FeatureKind, values: list[Any]) -> ClusterField:
    return ClusterField(name=name, kind=kind, column=Column.from_values(values))


def _type_of(values: list[Any]) -> object:
    known: list[object] = [value for value in values if value is not None]
    return type(known[0])


def matrix_of(**values: list[Any]) -> ClusterMatrix:
    kinds: dict[object, FeatureKind] = {bool: FeatureKind.BOOLEAN, str: FeatureKind.TEXT}
    fields = [field(name, kinds.get(_type_of(given), FeatureKind.NUMERIC), given) for name, given in values.items()]
    return cluster_matrix(fields, len(fields[0].column))


@given(st.lists(st.one_of(st.none(), st.floats(-1e300, 1e300), st.integers(-(2**53), 2**53)), min_size=20, max_size=60))
def test_numbers_are_standardised_and_missing_ones_stand_at_the_mean(values: list[float | None]) -> None:
    known = [value for value in values if value is not None]
    if len({float(value) for value in known}) <= 1:
        with pytest.raises(AnalysisRefused):
            cluster_matrix([field("x", FeatureKind.NUMERIC, values)], len(values))
        return
    matrix = cluster_matrix([field("x", FeatureKind.NUMERIC, values)], len(values))
    column = matrix.values[:, 0]
    assert np.isfinite(column).all()
    assert (column[[value is None for value in values]] == 0).all()
    here = column[[value is not None for value in values]]
    assert abs(here.mean()) < 1e-6
    # Numbers that differ in their last digits only have no deviation that could be computed.
    assert here.std() == pytest.approx(1, abs=1e-6) or np.ptp(known) < 1e-9 * np.abs(known).max()


def test_each_level_has_a_column_and_null_is_one() -> None:
    matrix = matrix_of(tier=["gold"] * 12 + ["silver"] * 6 + [None] * 4)
    assert [axis.level for axis in matrix.axes] == ["gold", "silver", None]
    assert matrix.values.sum(axis=0).tolist() == [12, 6, 4]
    assert (matrix.values.sum(axis=1) == 1).all()


def test_rare_levels_share_no_column() -> None:
    values = [f"v{number % 30}" for number in range(600)]
    assert len(matrix_of(tier=values).axes) == MOST_LEVELS


def test_many_fields_share_the_columns() -> None:
    texts = {f"t{number}": [f"v{(row + number) % 9}" for row in range(90)] for number in range(98)}
    matrix = matrix_of(a=list(range(90)), b=list(range(90, 0, -1)), **texts)
    assert len(matrix.fields) == 100
    assert len(matrix.axes) == 2 + 98 * 2 <= MOST_AXES


def test_fields_that_tell_nothing_are_left_out_with_the_reason() -> None:
    count = 200
    matrix = cluster_matrix(
        [
            field("good", FeatureKind.NUMERIC, list(range(count))),
            field("flat", FeatureKind.NUMERIC, [7] * count),
            field("flat_text", FeatureKind.TEXT, ["a"] * count),
            field("none", FeatureKind.NUMERIC, [None] * count),
            field("none_text", FeatureKind.TEXT, [None] * count),
            field("email", FeatureKind.TEXT, [f"{number}@x" for number in range(count)]),
        ],
        count,
    )
    assert [one.name for one in matrix.fields] == ["good"]
    assert {one.name: one.reason for one in matrix.ignored} == {
        "flat": "constant",
        "flat_text": "constant",
        "none": "empty",
        "none_text": "empty",
        "email": "identifier",
    }


@pytest.mark.parametrize(
    ("values", "refusal"),
    [([1, 2] * 9, AnalysisRefusal.TOO_FEW_ROWS), ([3] * 40, AnalysisRefusal.CONSTANT_FEATURES)],
)
def test_rows_that_cannot_be_parted_are_refused(values: list[int], refusal: AnalysisRefusal) -> None:
    with pytest.raises(AnalysisRefused) as caught:
        matrix_of(x=values)
    assert caught.value.refusal is refusal


def test_two_random_rows_differ_as_much_in_a_number_as_in_an_even_category() -> None:
    rng = np.random.default_rng(0)
    matrix = matrix_of(x=rng.normal(size=4000).tolist(), tier=rng.choice(list("abcdefghij"), 4000).tolist())
    gaps = (matrix.values[::2] - matrix.values[1::2]) ** 2
    assert gaps[:, 0].mean() == pytest.approx(2, abs=0.15)
    assert gaps[:, 1:].sum(axis=1).mean() == pytest.approx(1.8, abs=0.05)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50))
def test_clusters_are_numbered_from_the_largest(labels: list[int]) -> None:
    given_labels = np.array(labels)
    numbered = by_size(given_labels)
    sizes = np.bincount(numbered)
    assert (np.diff(sizes) <= 0).all()
    # The same rows stay together.
    assert len(set(zip(labels, numbered.tolist(), strict=True))) == len(set(labels)) == len(sizes)


def test_a_cluster_is_described_in_the_units_of_its_fields() -> None:
    rows, kinds = planted_rows(900)
    matrix = cluster_matrix(cluster_fields(rows), len(rows))
    members = np.array(kinds) == 1
    profile = describe_cluster(matrix, members)
    ages = [row["age"] for row, kind in zip(rows, kinds, strict=True) if kind == 1 and row["age"] is not None]
    assert profile.size == kinds.count(1)
    assert profile.centroid["age"] == pytest.approx(np.mean(ages))
    assert profile.centroid["tier"] == "gold"
    assert profile.centroid["owner"] is True
    features = {one.field: one for one in profile.distinguishing}
    assert features["income"].direction == "higher"
    assert features["income"].cluster_value == pytest.approx(90_000, rel=0.02)
    assert (features["tier"].value, features["tier"].direction) == ("gold", "higher")
    # Shares of all rows, not standardised ones.
    gold = [row["tier"] == "gold" for row in rows]
    assert features["tier"].overall_value == pytest.approx(np.mean(gold))
    assert [abs(one.effect) for one in profile.distinguishing] == sorted(
        (abs(one.effect) for one in profile.distinguishing), reverse=True
    )
    assert cluster_name(2, profile.distinguishing).startswith("Cluster 2: ")


def test_conditions_speak_of_stored_values_and_tell_how_well_they_fit() -> None:
    ages = [20, 21, 22, None, 60, 61, 62, 63, 64, 65] * 3
    tiers = ["a", "b", "a", "a", None, "c", "c", "c", "c", "c"] * 3
    matrix = matrix_of(age=ages, tier=tiers)
    members = np.array([age is not None and age >= 60 for age in ages])
    threshold = (50 - matrix.axes[0].mean) / matrix.axes[0].scale
    found = best_filters(matrix, members, [[Step(axis=0, threshold=threshold, is_above=True)]])
    assert found is not None
    assert [(one.field, one.operator, one.value) for one in found.filters] == [("age", "gte", 51)]
    # A missing age stands at the mean, above the threshold or not: the condition itself is false on it.
    assert (found.precision, found.recall, found.matching) == (1, 1, 18)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("a", True)], [("eq", "a")]),
        ([("a", False)], [("neq", "a")]),
        ([("a", False), ("b", False)], [("not_in", ["a", "b"])]),
        ([(None, True)], [("is_null", None)]),
        ([(None, False), ("a", False)], [("is_not_null", None), ("neq", "a")]),
        ([("a", False), ("b", True)], [("eq", "b")]),
    ],
)
def test_levels_become_conditions(steps: list[tuple[str | None, bool]], expected: list[tuple[str, Any]]) -> None:
    matrix = matrix_of(tier=["a"] * 9 + ["b"] * 8 + [None] * 7)
    axes = {axis.level: index for index, axis in enumerate(matrix.axes)}
    leaf = [Step(axis=axes[level], threshold=0.5, is_above=is_above) for level, is_above in steps]
    found = best_filters(matrix, np.ones(24, bool), [leaf])
    assert found is not None
    assert [(one.operator, one.value) for one in found.filters] == expected
    holds = np.ones(24, bool)
    for one in found.filters:
        holds &= compile_test(Operator(one.operator), one.value)(matrix.fields[0].column)
    wanted = np.ones(24, bool)
    for step in leaf:
        wanted &= (matrix.values[:, step.axis] > step.threshold) == step.is_above
    assert holds.tolist() == wanted.tolist()


def test_bounds_of_real_numbers_are_short() -> None:
    matrix = matrix_of(x=[0.123456789 * number for number in range(40)])
    members = np.arange(40) >= 20
    leaf = [
        Step(axis=0, threshold=-1.5, is_above=True),
        Step(axis=0, threshold=0.0, is_above=True),
        Step(axis=0, threshold=1.5, is_above=False),
    ]
    found = best_filters(matrix, members, [leaf])
    assert found is not None
    assert [one.operator for one in found.filters] == ["gt", "lte"]
    assert all(len(str(one.value)) <= 8 for one in found.filters)
    assert math.isclose(found.filters[0].value, matrix.axes[0].mean, rel_tol=1e-5)


def test_no_conditions_are_better_than_ones_that_find_nothing() -> None:
    matrix = matrix_of(x=list(range(40)))
    assert best_filters(matrix, np.arange(40) < 5, [[Step(axis=0, threshold=1.0, is_above=True)], []]) is None
