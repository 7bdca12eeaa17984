"""Ensembles by their leaves: what LightGBM says, in every order the same bits."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaireon_core.column import Floats
from kaireon_core.learning.leaves import Leaf, LeafTable, Split
from kaireon_storage.boosting import load_trees

FEATURES = 6
# The second feature is categorical: codes, never missing in training.
CATEGORICAL = 1
ODD = (np.nan, 0.0, -0.0, -1.0, 1e-36, 1e300, -1e300, 3.0, 40.0, np.inf, -np.inf)


def grown(*, missing: float = 0.0, **parameters: Any) -> str:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(2000, FEATURES))
    matrix[:, CATEGORICAL] = rng.integers(0, 12, 2000)
    labels = (matrix[:, 0] + np.sin(matrix[:, 2]) * (matrix[:, CATEGORICAL] % 3) + rng.normal(size=2000) > 0.5) * 1.0
    matrix[rng.random(matrix.shape) < missing] = np.nan
    matrix[:, CATEGORICAL] = np.nan_to_num(matrix[:, CATEGORICAL])
    given = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 0, **parameters}
    data = lightgbm.Dataset(matrix, labels, categorical_feature=[CATEGORICAL])
    return lightgbm.train(given, data, 25).model_to_string()


TEXTS = {missing: grown(missing=missing) for missing in (0.0, 0.2)}
ROWS = st.lists(
    st.lists(st.sampled_from(ODD) | st.floats(-4, 14), min_size=FEATURES, max_size=FEATURES), min_size=1, max_size=6
)


def table_of(text: str) -> LeafTable:
    leaves = load_trees(text).leaves
    assert leaves is not None
    return leaves


def raw(table: LeafTable, rows: Floats, own: list[int]) -> Floats:
    """Return the log-odds of all rows for the features of `own`, with those of all rows for the others: (n, n)."""
    others = [feature for feature in range(FEATURES) if feature not in own]
    candidates = table.part(own).reached(rows[:, own]) * table.values
    return table.part(others).reached(rows[:, others]) @ candidates.T


@settings(max_examples=60)
@given(rows=ROWS, own=st.sets(st.integers(0, FEATURES - 1)), missing=st.sampled_from(sorted(TEXTS)))
def test_leaves_say_what_the_trees_say(rows: list[list[float]], own: set[int], missing: float) -> None:
    matrix = np.array(rows)
    matrix[:, CATEGORICAL] = np.trunc(np.nan_to_num(np.clip(matrix[:, CATEGORICAL], 0, 50)))
    table, trees = table_of(TEXTS[missing]), load_trees(TEXTS[missing])

    together = raw(table, matrix, sorted(own))

    assert np.diag(together) == pytest.approx(trees.raw(matrix), abs=1e-10, rel=0)
    for place in range(len(matrix)):
        alone = raw(table, matrix[place : place + 1], sorted(own))
        assert alone.item() == together[place, place], "alone and among others, to the last bit"


@pytest.mark.parametrize(
    "parameters",
    [
        {"num_leaves": 100, "min_data_in_leaf": 2},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"zero_as_missing": True},
        {"linear_tree": True},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_what_leaves_cannot_say_is_left_to_the_trees(parameters: dict[str, Any]) -> None:
    assert load_trees(grown(missing=0.1, **parameters)).leaves is None


def test_an_ensemble_that_is_too_large_has_no_table() -> None:
    def grow(depth: int) -> Split | Leaf:
        return Leaf(0.5) if depth == 0 else Split(feature=0, left=grow(depth - 1), right=grow(depth - 1))

    assert LeafTable.of([grow(6)] * 32) is not None
    assert LeafTable.of([grow(6)] * 33) is None
    assert LeafTable.of([grow(7)]) is None
    assert LeafTable.of([Leaf(5000.0)]) is None


def test_trees_without_a_question_say_the_same_to_all() -> None:
    table = LeafTable.of([Leaf(0.25), Leaf(-1.0)])
    assert table is not None
    assert raw(table, np.zeros((2, FEATURES)), [0]).tolist() == [[-0.75, -0.75], [-0.75, -0.75]]
