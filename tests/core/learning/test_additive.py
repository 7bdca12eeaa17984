"""Models that add up: the same bits however they are asked, and explanations that sum to the raw score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.compile import ModelNotReady, compile_model
from kaireon_core.learning.gradient_boosted import Trees
from kaireon_core.learning.model import Model, RowTable
from kaireon_core.learning.untrained import Untrained
from kaireon_core.problems import InvalidValue
from kaireon_core.table import CustomerFacts, Table


def no_trees(_text: str) -> Trees:
    raise AssertionError


WEIGHTED = {
    "weights": {
        "income": 0.3,
        "age": -0.7,
        "segment=Gold": 0.6,
        "segment=Silver": 0.1,
        "owner": 0.2,
        "offer.price": -0.11,
        "offer.category=cards": 0.4,
        "offer.tier": 1.5,
    },
    "bias": 0.25,
    "means": {"income": 50_000.0, "age": 40.1},
    "scales": {"income": 12_345.6, "age": 9.7},
    "missing": {"income": -0.2, "segment": 0.3, "offer.category": -0.6},
}
COUNTED = {
    "priors": {"positive": 60, "negative": 140},
    "likelihoods": {
        "income": {"positive": {"0": 10, "2": 30}, "negative": {"0": 70, "1": 20}},
        "segment": {"positive": {"Gold": 40, "Silver": 20}, "negative": {"Silver": 100}},
        "owner": {"positive": {"true": 50, "false": 3}, "negative": {"false": 60}},
        "offer.price": {"positive": {"0": 20, "1": 20}, "negative": {"1": 80}},
        "offer.category": {"positive": {"cards": 33}, "negative": {"loans": 44, "5": 3}},
    },
    "binEdges": {"income": [30_000, 60_000], "offer.price": [5]},
}
MODELS: dict[str, Model] = {
    "logistic_regression": compile_model("logistic_regression", {}, WEIGHTED, no_trees),
    "linear_regression": compile_model("linear_regression", {}, WEIGHTED, no_trees),
    "bayesian": compile_model("bayesian", {}, COUNTED, no_trees),
}
by_model = pytest.mark.parametrize("name", MODELS)
VALUE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["Gold", "Silver", "cards", "5", ""])
    | st.lists(st.integers(), max_size=1)
)
CUSTOMERS = st.lists(
    st.dictionaries(st.sampled_from(["income", "age", "segment", "owner"]), VALUE), min_size=1, max_size=12
)
OFFERS = st.lists(
    st.dictionaries(st.sampled_from(["offer.price", "offer.category", "offer.tier"]), VALUE), min_size=1, max_size=4
)


def table_of(customers: list[dict[str, Any]], offers: list[dict[str, Any]]) -> Table:
    names = ("offer.price", "offer.category", "offer.tier")
    columns = {name: Column.from_values([offer.get(name) for offer in offers]) for name in names}
    return Table.of([CustomerFacts(customer, {}, {}, {}) for customer in customers], columns, len(offers))


@by_model
@settings(max_examples=50)
@given(customers=CUSTOMERS, offers=OFFERS)
def test_every_cell_has_the_bits_that_it_has_alone(
    name: str, customers: list[dict[str, Any]], offers: list[dict[str, Any]]
) -> None:
    model, table, rows = MODELS[name], table_of(customers, offers), np.arange(len(offers))[::-1]
    shape = (len(customers), len(offers))
    together = np.broadcast_to(model.score(table).values, shape)
    bound = model.bound(table)
    assert bound is not None
    assert np.array_equal(np.broadcast_to(bound.score_rows(table, rows), shape), together[:, rows])
    for i, customer in enumerate(customers):
        for j, offer in enumerate(offers):
            assert together[i, j] == model.score(RowTable([{**customer, **offer, "surplus": 1}])).values.item()


@by_model
@settings(max_examples=50)
@given(customer=st.dictionaries(st.sampled_from(["income", "age", "segment", "owner"]), VALUE), offers=OFFERS)
def test_base_and_contributions_add_up_to_the_raw_score(
    name: str, customer: dict[str, Any], offers: list[dict[str, Any]]
) -> None:
    model, table = MODELS[name], table_of([{}, customer], offers)
    explanation = model.explain(table, 1, len(offers) - 1)
    raw = np.broadcast_to(model.score(table).raw, (2, len(offers)))[1, -1]
    assert np.isfinite(raw)
    parts = [part.contribution for part in explanation.contributions]
    assert explanation.base + sum(parts) == pytest.approx(raw, abs=1e-6, rel=1e-12)
    assert {part.field for part in explanation.contributions} == set(model.fields)
    assert [abs(part) for part in parts] == sorted(map(abs, parts), reverse=True)


@pytest.mark.parametrize("model_type", ["bayesian", "logistic_regression"])
@pytest.mark.parametrize("state", [None, {}])
def test_without_a_state_the_odds_are_even(model_type: str, state: dict[str, Any] | None) -> None:
    model = compile_model(model_type, {}, state, no_trees)
    assert isinstance(model, Untrained)
    assert model.score(RowTable([{}, {"a": 1}])).values.tolist() == [[0.5]]


def test_a_linear_model_without_a_state_cannot_score() -> None:
    with pytest.raises(ModelNotReady, match="not been trained"):
        compile_model("linear_regression", {}, None, no_trees)


@pytest.mark.parametrize(
    ("model_type", "state"),
    [
        ("logistic_regression", {"bias": 1}),
        ("logistic_regression", {"weights": {"a": "1"}}),
        ("linear_regression", {"weights": {}, "surprise": 1}),
        ("linear_regression", {"weights": {"a": 1}, "scales": {"a": 0}}),
        ("bayesian", {"priors": {"positive": 1}}),
        ("bayesian", {"priors": {"positive": -1, "negative": 1}}),
        ("bayesian", {**COUNTED, "binEdges": {"income": [2, 1]}}),
        ("bayesian", {**COUNTED, "binEdges": {"segment": [1, 2]}}),
    ],
    ids=str,
)
def test_a_damaged_state_cannot_score(model_type: str, state: dict[str, Any]) -> None:
    with pytest.raises((ModelNotReady, InvalidValue)):
        compile_model(model_type, {}, state, no_trees)
