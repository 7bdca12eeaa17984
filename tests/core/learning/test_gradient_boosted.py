"""Trees really grown and really loaded: the core sees them as two functions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.compile import ModelNotReady, compile_model
from kaireon_core.learning.feature import Encoder, Feature, FeatureKind
from kaireon_core.learning.gradient_boosted import GradientBoosted, GradientBoostedState
from kaireon_core.learning.model import RowTable
from kaireon_core.table import CustomerFacts, Table
from kaireon_storage.boosting import TreesLoader, load_trees

FEATURES = (
    Feature(name="age", kind=FeatureKind.NUMERIC),
    Feature(name="segment", kind=FeatureKind.TEXT, categories=("Bronze", "Gold", "Silver")),
    Feature(name="owner", kind=FeatureKind.BOOLEAN, categories=(False, True)),
    Feature(name="offer.price", kind=FeatureKind.NUMERIC),
    Feature(name="offer.category", kind=FeatureKind.TEXT, categories=("cards", "loans")),
)
CUSTOMER = st.fixed_dictionaries(
    {},
    optional={
        "age": st.none() | st.integers(18, 80) | st.just("40"),
        "segment": st.none() | st.sampled_from(["Gold", "Silver", "Bronze", "Platinum"]) | st.just(1),
        "owner": st.none() | st.booleans() | st.just(1),
    },
)
OFFER = st.fixed_dictionaries(
    {},
    optional={
        "offer.price": st.none() | st.integers(0, 10),
        "offer.category": st.none() | st.sampled_from(["cards", "loans", "savings"]),
    },
)


def grown() -> GradientBoostedState:
    rng = np.random.default_rng(0)
    rows = [
        [
            value if rng.random() > 0.1 else None
            for value in (
                int(rng.integers(18, 80)),
                str(rng.choice(["Gold", "Silver", "Bronze"])),
                bool(rng.random() < 0.5),
                int(rng.integers(0, 10)),
                str(rng.choice(["cards", "loans"])),
            )
        ]
        for _ in range(3000)
    ]
    columns = [Column.from_values(list(values)) for values in zip(*rows, strict=True)]
    encoded = zip(FEATURES, columns, strict=True)
    matrix = np.column_stack([Encoder(feature).encode(column) for feature, column in encoded])
    drive = np.nan_to_num(matrix[:, 0], nan=90) / 40 + matrix[:, 1] * matrix[:, 4] - matrix[:, 2]
    labels = (drive + rng.normal(size=3000) > 3).astype(float)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 0}
    data = lightgbm.Dataset(matrix, labels, categorical_feature=[1, 2, 4])
    text = lightgbm.train(parameters, data, 40).model_to_string()
    return GradientBoostedState(features=FEATURES, trees=text)


STATE = grown()
MODEL = GradientBoosted.compile(STATE, load_trees(STATE.trees))


def table_of(customers: list[dict[str, Any]], offers: list[dict[str, Any]]) -> Table:
    columns = {
        name: Column.from_values([offer.get(name) for offer in offers]) for name in ("offer.price", "offer.category")
    }
    return Table.of([CustomerFacts(customer, {}, {}, {}) for customer in customers], columns, len(offers))


@settings(max_examples=50)
@given(customers=st.lists(CUSTOMER, min_size=1, max_size=4), offers=st.lists(OFFER, min_size=1, max_size=4))
def test_every_cell_scores_exactly_as_it_does_alone(
    customers: list[dict[str, Any]], offers: list[dict[str, Any]]
) -> None:
    together = np.broadcast_to(MODEL.score(table_of(customers, offers)).values, (len(customers), len(offers)))
    for i, customer in enumerate(customers):
        for j, offer in enumerate(offers):
            assert together[i, j] == MODEL.score(table_of([customer], [offer])).values.item()
            assert together[i, j] == MODEL.score(RowTable([{**customer, **offer, "surplus": [1]}])).values.item()


@settings(max_examples=50)
@given(customers=st.lists(CUSTOMER, min_size=1, max_size=4), offers=st.lists(OFFER, min_size=1, max_size=4))
def test_a_bound_model_scores_as_the_free_one(customers: list[dict[str, Any]], offers: list[dict[str, Any]]) -> None:
    table, rows = table_of(customers, offers), np.arange(len(offers))[::-1]
    free = np.broadcast_to(MODEL.score(table).values, (len(customers), len(offers)))[:, rows]
    trees = GradientBoosted.compile(STATE, replace(load_trees(STATE.trees), leaves=None)).bound(table)

    assert np.array_equal(trees.score_rows(table, rows), free)
    assert MODEL.bound(table).score_rows(table, rows) == pytest.approx(free, abs=1e-11, rel=0)


@settings(max_examples=50)
@given(customer=CUSTOMER, offer=OFFER)
def test_base_and_contributions_add_up_to_the_raw_score(customer: dict[str, Any], offer: dict[str, Any]) -> None:
    table = table_of([{}, customer], [{}, offer])
    raw = MODEL.score(table).raw[1, 1]
    explanation = MODEL.explain(table, 1, 1)
    total = explanation.base + sum(part.contribution for part in explanation.contributions)
    assert total == pytest.approx(raw, abs=1e-6)
    assert {part.field for part in explanation.contributions} == {feature.name for feature in FEATURES}


@pytest.mark.parametrize(
    ("field", "stranger"),
    [("segment", "Platinum"), ("segment", 1), ("segment", ["Gold"]), ("age", "40"), ("age", True), ("owner", 1)],
)
def test_what_training_has_not_seen_counts_as_null(field: str, stranger: object) -> None:
    known = {"age": 40, "segment": "Gold", "owner": True, "offer.price": 3, "offer.category": "cards"}
    strange, null, missing = {**known, field: stranger}, {**known, field: None}, dict(known)
    del missing[field]
    scores = MODEL.score(RowTable([strange, null, missing])).values[:, 0]
    assert scores[0] == scores[1] == scores[2]
    assert scores[0] != MODEL.score(RowTable([known])).values.item()


def test_a_model_of_customer_fields_predicts_each_customer_once() -> None:
    calls: list[int] = []
    trees = load_trees(STATE.trees)

    def counted(matrix: np.ndarray) -> np.ndarray:
        calls.append(len(matrix))
        return trees.raw(matrix)

    features = tuple(Feature(name=f"x{index}", kind=FeatureKind.NUMERIC) for index in range(len(FEATURES)))
    state = GradientBoostedState(features=features, trees=STATE.trees)
    model = GradientBoosted.compile(state, type(trees)(counted, trees.contributions))
    scores = model.score(table_of([{"x0": 1}, {"x0": 70}], [{}, {}, {}]))
    assert (scores.values.shape, calls) == ((2, 1), [2])


def test_many_customers_are_predicted_in_bounded_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    customers = [{"age": 20 + index, "segment": "Gold"} for index in range(50)]
    offers = [{"offer.price": price} for price in range(7)]
    whole = MODEL.score(table_of(customers, offers)).values
    monkeypatch.setattr("kaireon_core.learning.gradient_boosted._CHUNK_CELLS", 100)
    assert np.array_equal(MODEL.score(table_of(customers, offers)).values, whole)


def test_an_untrained_model_is_not_ready() -> None:
    with pytest.raises(ModelNotReady):
        compile_model("gradient_boosted", {}, None, load_trees)


def test_a_loader_loads_a_text_once() -> None:
    loader = TreesLoader()
    assert loader(STATE.trees) is loader(STATE.trees)


DAMAGED: list[dict[str, Any]] = [
    {},
    {"features": [], "trees": 1},
    {"features": [], "trees": "no trees"},
    {"features": [], "trees": STATE.trees[: len(STATE.trees) // 2]},
]


@pytest.mark.parametrize("state", DAMAGED, ids=lambda state: str(state)[:40])
def test_a_damaged_version_is_not_ready(state: dict[str, Any]) -> None:
    with pytest.raises(ModelNotReady):
        compile_model("gradient_boosted", {}, state, load_trees)
