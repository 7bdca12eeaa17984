"""Neural collaborative filtering against its formula, written out with loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.compile import ModelNotReady, compile_model
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.model import RowTable
from kaireon_core.learning.states import parse_state
from kaireon_core.problems import InvalidValue
from kaireon_core.table import CustomerFacts, Table
from tests.core.learning.test_additive import no_trees

RNG = np.random.default_rng(2)
USERS, ITEMS, D, H = ["u1", "u2", "7"], ["gold", "silver"], 4, 11


def numbers(*shape: int) -> Any:
    return RNG.normal(size=shape).round(3).tolist()


STATE: dict[str, Any] = {
    "embeddingDim": D,
    "hiddenDim": H,
    "userEmbeddings": {user: numbers(D) for user in USERS},
    "itemEmbeddings": {item: numbers(D) for item in ITEMS},
    "W_hidden": numbers(2 * D, H),
    "b_hidden": numbers(H),
    "W_output": numbers(H),
    "b_output": -0.3,
}
MODEL = compile_model("neural_cf", {}, STATE, no_trees)


def mean(points: dict[str, list[float]]) -> list[float]:
    return [sum(point[place] for point in points.values()) / len(points) for place in range(D)]


def expected(user: object, item: object) -> float:
    users, items = STATE["userEmbeddings"], STATE["itemEmbeddings"]
    point = [*users.get(user, mean(users)), *items.get(item, mean(items))]
    raw = STATE["b_output"]
    for place in range(H):
        before = STATE["b_hidden"][place] + sum(x * STATE["W_hidden"][row][place] for row, x in enumerate(point))
        raw += max(0.0, before) * STATE["W_output"][place]
    return raw


IDS = st.sampled_from([*USERS, "stranger", None])
OFFERS = st.sampled_from([*ITEMS, "novelty", None])


@given(user=IDS, item=OFFERS)
def test_a_row_scores_by_the_formula(user: str | None, item: str | None) -> None:
    scores = MODEL.score(RowTable([{"customerId": user, "offerId": item}]))
    assert scores.raw.item() == pytest.approx(expected(user, item), abs=1e-12)
    assert scores.values.item() == pytest.approx(1 / (1 + math.exp(-expected(user, item))))
    explanation = MODEL.explain(RowTable([{"customerId": user, "offerId": item}]), 0, 0)
    parts = {part.field: part.contribution for part in explanation.contributions}
    assert explanation.base == pytest.approx(expected(None, None))
    assert explanation.base + sum(parts.values()) == pytest.approx(scores.raw.item(), abs=1e-9)
    assert (parts["customerId"] == 0) == (user not in USERS)


@settings(max_examples=50)
@given(users=st.lists(IDS, min_size=1, max_size=5), items=st.lists(OFFERS, min_size=1, max_size=5))
def test_a_flow_scores_with_the_bits_of_a_row(users: list[str | None], items: list[str | None]) -> None:
    columns = {"offer.key": Column.from_values(items), "offer.id": Column.from_values(["id"] * len(items))}
    table = Table.of([CustomerFacts({}, {}, {}, {"customerId": user}) for user in users], columns, len(items))
    together, rows = MODEL.score(table).values, np.arange(len(items))[::-1]
    bound = MODEL.bound(table)
    assert bound is not None
    assert np.array_equal(bound.score_rows(table, rows), together[:, rows])
    alone = [
        [MODEL.score(RowTable([{"customerId": user, "offerId": item}])).values.item() for item in items]
        for user in users
    ]
    assert together.tolist() == alone


def test_ids_may_be_numbers_and_offers_known_by_id() -> None:
    columns = {"offer.key": Column.from_values(["g"]), "offer.id": Column.from_values(["gold"])}
    table = Table.of([CustomerFacts({"customerId": 7}, {}, {}, {})], columns, 1)
    assert MODEL.score(table).raw.item() == pytest.approx(expected("7", "gold"))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"userEmbeddings": {"u": [1.0]}}, "$.modelState.userEmbeddings.u"),
    ({"W_hidden": numbers(D, H)}, "$.modelState.W_hidden"),
    ({"W_hidden": numbers(2 * D, H + 1)}, "$.modelState.W_hidden[0]"),
    ({"b_hidden": []}, "$.modelState.b_hidden"),
    ({"W_output": ["a"] * H}, "$.modelState.W_output[0]"),
    ({"embeddingDim": 0}, "$.modelState.embeddingDim"),
]


@pytest.mark.parametrize(("change", "path"), BAD, ids=lambda value: str(value)[:40])
def test_sizes_that_disagree_are_refused(change: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_state(ModelType.NEURAL_CF, {**STATE, **change})
    assert path in [problem.path for problem in caught.value.problems]


def test_without_a_state_it_cannot_score() -> None:
    with pytest.raises(ModelNotReady, match="not been trained"):
        compile_model("neural_cf", {}, None, no_trees)
