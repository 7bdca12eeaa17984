"""The one comparison: what is written in tests/golden/comparison.json, and its laws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column, Kind, Operator, columns_from_rows, compare, compile_test, kind_of
from tests.core.decisioning.plain_values import holds

_GROUPS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "golden" / "comparison.json").read_text())

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.5, 1.0, -0.0])
    | st.sampled_from(["", "a", "b", "ab", "A", "ä", "1", "true"])
)
VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=3,
)
COLUMNS = st.lists(VALUES, max_size=6)
MEMBERS = st.lists(VALUES, max_size=3)
ORDERED = (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)


def _compare(values: list[Any], operator: Operator, operand: object) -> list[bool]:
    return compare(Column.from_values(values), operator, operand).tolist()


def _not(mask: list[bool]) -> list[bool]:
    return [not one for one in mask]


@pytest.mark.parametrize("group", _GROUPS, ids=[group["why"] for group in _GROUPS])
def test_comparison_is_as_written(group: dict[str, Any]) -> None:
    for case in group["cases"]:
        assert _compare([case["value"]], Operator(case["operator"]), case["operand"]) == [case["holds"]], case


@given(values=COLUMNS, operand=VALUES)
def test_law_neq_is_not_eq(values: list[Any], operand: Any) -> None:
    assert _compare(values, Operator.NEQ, operand) == _not(_compare(values, Operator.EQ, operand))


@given(values=COLUMNS, members=MEMBERS)
def test_law_not_in_is_not_in(values: list[Any], members: list[Any]) -> None:
    assert _compare(values, Operator.NOT_IN, members) == _not(_compare(values, Operator.IN, members))


@given(values=COLUMNS, operand=VALUES)
def test_law_null_tests_are_comparisons_with_null(values: list[Any], operand: Any) -> None:
    is_null = _compare(values, Operator.EQ, None)
    for operator in (Operator.IS_NULL, Operator.NOT_EXISTS):
        assert _compare(values, operator, operand) == is_null
    for operator in (Operator.IS_NOT_NULL, Operator.EXISTS):
        assert _compare(values, operator, operand) == _not(is_null)


@given(value=VALUES, operand=VALUES)
def test_law_equality_is_symmetric_and_of_one_kind(value: Any, operand: Any) -> None:
    assert _compare([value], Operator.EQ, value) == [True]
    equal = _compare([value], Operator.EQ, operand)
    assert equal == _compare([operand], Operator.EQ, value)
    assert not equal[0] or kind_of(value) == kind_of(operand)


@given(value=VALUES, operand=VALUES)
def test_law_orders_agree_and_need_two_numbers_or_two_texts(value: Any, operand: Any) -> None:
    greater, greater_equal, less, less_equal = (_compare([value], operator, operand)[0] for operator in ORDERED)
    is_ordered = kind_of(value) == kind_of(operand) and kind_of(value) in (Kind.NUMBER, Kind.TEXT)
    equal = _compare([value], Operator.EQ, operand)[0]
    assert greater_equal == (is_ordered and (greater or equal))
    assert less_equal == (is_ordered and (less or equal))
    assert greater + less + (is_ordered and equal) == is_ordered
    assert greater == _compare([operand], Operator.LT, value)[0]


@given(value=_LEAVES, members=MEMBERS)
def test_law_in_is_eq_with_any_member(value: Any, members: list[Any]) -> None:
    assert _compare([value], Operator.IN, members) == [any(_compare([value], Operator.EQ, one)[0] for one in members)]


@given(values=st.lists(VALUES, max_size=3), operand=VALUES)
def test_law_contains_on_a_list_is_eq_with_any_member(values: list[Any], operand: Any) -> None:
    assert _compare([values], Operator.CONTAINS, operand) == [any(_compare(values, Operator.EQ, operand))]


@given(value=VALUES, operand=VALUES, operator=st.sampled_from(list(Operator)))
def test_law_no_operator_but_equality_holds_on_null(value: Any, operand: Any, operator: Operator) -> None:
    of_equality = (Operator.EQ, Operator.NEQ, Operator.IN, Operator.NOT_IN)
    of_presence = (Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.EXISTS, Operator.NOT_EXISTS)
    if operator in (*of_equality, *of_presence):
        return
    text_or_number = operand if operator is not Operator.REGEX else "a"
    assert _compare([None], operator, text_or_number) == [False]
    assert not isinstance(value, list) or operator is Operator.CONTAINS or _compare([value], operator, "a") == [False]


@given(values=COLUMNS, operand=VALUES, operator=st.sampled_from(list(Operator)))
def test_law_every_row_is_compared_as_if_alone(values: list[Any], operand: Any, operator: Operator) -> None:
    if operator in (Operator.IN, Operator.NOT_IN):
        operand = [operand]
    if operator is Operator.REGEX:
        operand = "a|^b"
    together = _compare(values, operator, operand)
    assert together == [_compare([value], operator, operand)[0] for value in values]
    assert together == [holds(value, operator.value, operand) for value in values]


@given(values=COLUMNS, chosen=st.lists(st.integers(0, 5), max_size=6))
def test_law_taking_rows_is_building_them(values: list[Any], chosen: list[int]) -> None:
    rows = [row for row in chosen if row < len(values)]
    taken = Column.from_values(values).take(np.array(rows, np.int64))
    built = Column.from_values([values[row] for row in rows])
    assert taken.kinds.tolist() == built.kinds.tolist()
    assert taken.objects.tolist() == built.objects.tolist()
    assert np.array_equal(taken.numbers, built.numbers, equal_nan=True)


@given(fields=st.integers(0, 3).flatmap(lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), max_size=3)))
def test_law_columns_made_together_are_columns_made_alone(fields: list[list[Any]]) -> None:
    for together, values in zip(columns_from_rows(fields), fields, strict=True):
        assert together.objects.tolist() == values
        assert together.kinds.tolist() == [kind_of(value) for value in values]
        assert together.is_null.tolist() == [value is None for value in values]


@given(values=COLUMNS)
def test_law_without_leaves_null_where_asked(values: list[Any]) -> None:
    rows = np.arange(len(values)) % 2 == 0
    left = Column.from_values(values).without(rows)
    assert left.objects.tolist() == [None if row % 2 == 0 else value for row, value in enumerate(values)]
    assert left.is_null.tolist() == [row % 2 == 0 or value is None for row, value in enumerate(values)]
    assert np.isnan(left.numbers[rows]).all()


@pytest.mark.parametrize(
    ("operator", "operand", "message"),
    [
        (Operator.IN, "a", "must be a list"),
        (Operator.NOT_IN, None, "must be a list"),
        (Operator.REGEX, "(", "is not a regular expression that RE2 accepts"),
        (Operator.REGEX, r"(a)\1", "is not a regular expression that RE2 accepts"),
        (Operator.REGEX, None, "must be a regular expression"),
    ],
)
def test_operand_that_does_not_fit_is_refused(operator: Operator, operand: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_test(operator, operand)


def test_regex_takes_linear_time() -> None:
    """A pattern that lets a backtracking engine run for ages."""
    assert _compare(["a" * 100_000 + "!"], Operator.REGEX, "(a+)+$") == [False]
