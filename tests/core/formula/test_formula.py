"""Formulas: what tests/golden/formulas.json says, and the same values as plain Python, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.formula.cells import Cells, Formula
from kaireon_core.formula.syntax import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, MAX_OPERATIONS, FormulaError, parse
from tests.core.formula import plain

_GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "formulas.json").read_text())

_VALUES = st.none() | st.booleans() | st.sampled_from([0, 1, -2, 0.5, 1e308, 3]) | st.sampled_from(["", "a", "1", "b"])
_ROWS = st.lists(st.fixed_dictionaries({"x": _VALUES, "y": _VALUES | st.just([1])}), min_size=1, max_size=5)
_CONSTANTS = st.sampled_from(["x", "y", "z", "0", "1", "2.5", "'a'", "''", "true", "false", "null"])


def _compose(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!="]), inner)
    calls = st.tuples(st.sampled_from(["min", "max", "coalesce", "concat"]), st.lists(inner, min_size=1, max_size=3))
    return (
        pairs.map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})")
        | st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} ? {parts[1]} : {parts[2]})")
        | calls.map(lambda parts: f"{parts[0]}({', '.join(parts[1])})")
        | inner.map(lambda one: f"-{one}")
        | inner.map(lambda one: f"round({one})")
    )


FORMULAS = st.recursive(_CONSTANTS, _compose, max_leaves=8)


def _evaluate(text: str, rows: list[dict[str, Any]]) -> list[Any]:
    formula = Formula.of(text)
    found = formula.evaluate(lambda name: Cells.of_column(Column.from_values([row.get(name) for row in rows])))
    values = found.values()
    return values * len(rows) if len(values) == 1 else values


@pytest.mark.parametrize("group", _GOLDEN["values"], ids=[group["why"] for group in _GOLDEN["values"]])
def test_formula_is_as_written(group: dict[str, Any]) -> None:
    for case in group["cases"]:
        (found,) = _evaluate(case["formula"], [case.get("values", {})])
        assert (found, type(found) is bool) == (case["result"], type(case["result"]) is bool), case


@pytest.mark.parametrize("case", _GOLDEN["errors"], ids=[case["formula"] for case in _GOLDEN["errors"]])
def test_an_error_says_what_and_where(case: dict[str, Any]) -> None:
    with pytest.raises(FormulaError) as raised:
        parse(case["formula"])
    assert case["message"] in str(raised.value)
    assert raised.value.position == case["position"]


@given(text=FORMULAS, rows=_ROWS)
def test_law_columns_agree_with_plain_values(text: str, rows: list[dict[str, Any]]) -> None:
    tree = parse(text)
    expected = [plain.evaluate(tree, row) for row in rows]
    assert list(map(repr, map(_plain, _evaluate(text, rows)))) == list(map(repr, map(_plain, expected)))


def _plain(value: Any) -> Any:
    """Return a value whose text shows what it is: 1 and 1.0 are one number, -0.0 is 0."""
    return float(value) + 0.0 if isinstance(value, int | float) and not isinstance(value, bool) else value


@given(text=st.text(max_size=40) | st.text("0123456789abx.+-*/%<>=?:()', \"", max_size=40))
def test_law_any_text_is_a_formula_or_an_error_within_it(text: str) -> None:
    assert all(1 <= position <= len(text) + 1 for position in _error_positions(text))


def _error_positions(text: str) -> list[int]:
    try:
        Formula.of(text)
    except FormulaError as error:
        return [error.position]
    return []


def test_rows_and_candidates_go_together() -> None:
    customers = Cells.of_column(Column.from_values([1, None])).reshape(2, 1)
    offers = Cells.of_column(Column.from_values([10, 20, "a"])).reshape(1, 3)

    found = Formula.of("x + y").evaluate({"x": customers, "y": offers}.__getitem__)

    assert found.kinds.shape == (2, 3)
    assert [found.reshape(6).values()[place] for place in range(6)] == [11, 21, "1a", None, None, None]


@pytest.mark.parametrize(
    "text",
    [
        "1+" * MAX_LENGTH,
        "(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1),
        "1" + "+1" * (MAX_OPERATIONS + 1),
        "1?" * (MAX_DEPTH + 1) + "1" + ":1" * (MAX_DEPTH + 1),
    ],
    ids=["long", "deep", "many operators", "many choices"],
)
def test_a_boundless_formula_is_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="at most"):
        parse(text)


def test_the_largest_formulas_are_evaluated() -> None:
    deep = "(" * (MAX_DEPTH - 1) + "1" + ")" * (MAX_DEPTH - 1)
    wide = "1" + "+1" * MAX_OPERATIONS
    assert _evaluate(deep, [{}]) == [1]
    assert _evaluate(wide, [{}]) == [MAX_OPERATIONS + 1]


def test_names_are_those_that_are_read() -> None:
    assert Formula.of("price * (customer.age > 3 ? price : coalesce(null, offer.margin))").names == (
        "price",
        "customer.age",
        "offer.margin",
    )


def test_every_function_is_in_the_golden_file() -> None:
    text = json.dumps(_GOLDEN["values"])
    assert [name for name in FUNCTIONS if f"{name}(" not in text] == []
