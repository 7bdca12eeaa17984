"""Logistic and linear regression against numbers worked out by hand and against the documented example."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.model import RowTable
from tests.core.learning.test_additive import no_trees

DOCUMENTED = {
    "weights": {"credit_score": 0.005, "income": 0.00002, "age": 0.01, "segment=Gold": 0.5},
    "bias": -4.0,
}
CUSTOMER = {"credit_score": 760, "income": 95000, "age": 38, "segment": "Gold"}


def raw_of(state: dict[str, Any], row: dict[str, Any], model_type: str = "logistic_regression") -> float:
    return float(compile_model(model_type, {}, state, no_trees).score(RowTable([row])).raw.item())


def test_the_documented_customer_scores_0_930() -> None:
    model = compile_model("logistic_regression", {}, DOCUMENTED, no_trees)
    scores = model.score(RowTable([CUSTOMER]))
    assert scores.raw.item() == pytest.approx(3.8 + 1.9 + 0.38 + 0.5 - 4)
    assert scores.values.item() == pytest.approx(0.930, abs=5e-4)
    explanation = model.explain(RowTable([CUSTOMER]), 0, 0)
    assert explanation.base == -4
    assert [(part.field, part.contribution) for part in explanation.contributions] == [
        ("credit_score", pytest.approx(3.8)),
        ("income", pytest.approx(1.9)),
        ("segment", 0.5),
        ("age", pytest.approx(0.38)),
    ]


VALUES: list[tuple[dict[str, Any], float]] = [
    ({}, 0),
    ({"x": None}, 0),
    ({"x": 2}, 6),
    ({"x": "2"}, 0),
    ({"x": True}, 3),
    ({"x": False}, 0),
    ({"x": [1]}, 0),
    ({"s": "a"}, 10),
    ({"s": "b=c"}, 20),
    ({"s": "z"}, 0),
    ({"s": 1}, 30),
    ({"s": 1.0}, 30),
    ({"s": True}, 40),
    ({"s": False}, 0),
    ({"customer.x": 2, "x": 1}, 3),
]


@pytest.mark.parametrize(("row", "expected"), VALUES, ids=str)
def test_a_value_adds_its_weight(row: dict[str, Any], expected: float) -> None:
    weights = {"x": 3.0, "s=a": 10.0, "s=b=c": 20.0, "s=1": 30.0, "s=true": 40.0}
    assert raw_of({"weights": weights}, row) == expected


def test_what_training_measured_is_taken_off_first() -> None:
    state = {"weights": {"x": 2}, "means": {"x": 10}, "scales": {"x": 4}, "missing": {"x": 7}, "bias": 1}
    assert raw_of(state, {"x": 12}) == 2
    assert raw_of(state, {}) == 8


def test_a_category_without_a_weight_counts_as_missing() -> None:
    state: dict[str, Any] = {"weights": {"s=a": 1}, "missing": {"s": -5, "t": 2}}
    assert raw_of(state, {"s": "b", "t": 1}) == -3
    assert raw_of(state, {"s": None}) == -3


def test_a_linear_score_is_never_clamped() -> None:
    model = compile_model("linear_regression", {}, {"weights": {"x": -1000}, "bias": 5}, no_trees)
    assert model.score(RowTable([{"x": 3}, {"x": -3}])).values.tolist() == [[-2995], [3005]]


@pytest.mark.parametrize("number", [1e308, -1e308, 10**300])
def test_numbers_beyond_reason_leave_a_finite_score(number: float) -> None:
    assert math.isfinite(raw_of({"weights": {"x": 1e50, "y": 1e50}}, {"x": number, "y": number}))
