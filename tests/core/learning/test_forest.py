"""Trees grown elsewhere: read from LightGBM's text and dump, scored to the same bits, and never believed."""

from __future__ import annotations

import json
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaireon_core.column import Floats
from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.model import RowTable
from kaireon_core.learning.parse_boosted import parse_boosted_state
from kaireon_core.problems import InvalidValue
from kaireon_storage.boosting import load_trees

RNG = np.random.default_rng(3)
MATRIX: Floats = np.column_stack([RNG.normal(size=2000), RNG.integers(0, 5, 2000), RNG.normal(size=2000)]).astype(float)
MATRIX[RNG.random(2000) < 0.1, 0] = np.nan
LABELS = ((np.nan_to_num(MATRIX[:, 0]) + (MATRIX[:, 1] == 3) - MATRIX[:, 2] + RNG.normal(size=2000)) > 0.5).astype(
    float
)


def grown(**parameters: Any) -> lightgbm.Booster:
    data = lightgbm.Dataset(MATRIX, LABELS, feature_name=["income", "tier", "offer.price"], categorical_feature=[1])
    return lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 0, **parameters}, data, 12)


BOOSTER = grown()
TEXT = BOOSTER.model_to_string()
FEATURES = [
    "income",
    {"name": "tier", "kind": "text", "categories": ["a", "b", "c", "d"]},
    "offer.price",
]
FORMS: dict[str, Any] = {
    "text": TEXT,
    "dump": BOOSTER.dump_model(),
    "dump text": json.dumps(BOOSTER.dump_model()),
}


@pytest.mark.parametrize("form", FORMS)
def test_trees_score_as_they_do_where_they_were_grown(form: str) -> None:
    state = parse_boosted_state({"trees": FORMS[form], "features": FEATURES}, "$.modelState")
    loaded = load_trees(state.trees)
    raw = np.asarray(BOOSTER.predict(MATRIX, raw_score=True))
    assert loaded.raw(MATRIX) == pytest.approx(raw, abs=1e-12)
    theirs = np.asarray(BOOSTER.predict(MATRIX[:50], pred_contrib=True))
    assert loaded.contributions(MATRIX[:50]) == pytest.approx(theirs, abs=1e-9)


def test_what_has_been_read_is_read_again() -> None:
    once = parse_boosted_state({"trees": TEXT, "features": FEATURES}, "$")
    again = parse_boosted_state({"trees": once.trees, "features": FEATURES}, "$")
    assert again == once


STUMP = {
    "split_feature": "credit_score",
    "threshold": 700,
    "left_child": {"leaf_value": -0.5},
    "right_child": {"leaf_value": 1.25},
}


def test_trees_written_by_hand_score_as_documented() -> None:
    state = parse_boosted_state({"trees": [STUMP], "baseScore": 0.25}, "$")
    stored = {"features": [{"name": "credit_score", "kind": "numeric"}], "trees": state.trees}
    model = compile_model("gradient_boosted", {}, stored, load_trees)
    scores = model.score(RowTable([{"credit_score": 760}, {"credit_score": 700}]))
    assert scores.raw.ravel().tolist() == pytest.approx([1.5, -0.25])
    assert scores.values[0].item() == pytest.approx(0.8176, abs=5e-5)


REFUSED: list[tuple[Any, str]] = [
    ("nonsense", "$.trees"),
    ("{", "$.trees"),
    ([], "$.trees"),
    ([1], "$.trees[0]"),
    ({"tree_info": [{"tree_structure": {}}]}, "$.trees.tree_info[0].tree_structure.threshold"),
    ([{**STUMP, "right_child": None}], "$.trees[0].right_child"),
    ([{**STUMP, "left_child": {"leaf_value": "1"}}], "$.trees[0].left_child.leaf_value"),
    ([{**STUMP, "split_feature": 0}], "$.trees[0].split_feature"),
    ([{**STUMP, "decision_type": "==", "threshold": "a"}], "$.trees[0].threshold"),
    ([{**STUMP, "decision_type": "<"}], "$.trees[0].decision_type"),
    ([{**STUMP, "decision_type": "==", "threshold": "1||2"}], "$.features"),
    ([{**STUMP, "missing_type": "Zero"}], "$.trees[0].missing_type"),
    ([{"leaf_value": 1e400}], "$.trees[0].leaf_value"),
    ({"tree_info": [STUMP], "average_output": True}, "$.trees"),
]


@pytest.mark.parametrize(("trees", "path"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_no_tree_is_refused_with_its_place(trees: Any, path: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_boosted_state({"trees": trees}, "$")
    assert [problem.path for problem in caught.value.problems] == [path]


def test_a_tree_too_deep_is_refused() -> None:
    tree: dict[str, Any] = {"leaf_value": 1}
    for _ in range(300):
        tree = {**STUMP, "left_child": tree}
    with pytest.raises(InvalidValue, match="deep"):
        parse_boosted_state({"trees": [tree]}, "$")


LINES = TEXT.splitlines()


@settings(max_examples=150)
@given(
    place=st.integers(0, LINES.index("end of trees")),
    change=st.sampled_from(["drop", "cut", "negate", "grow", "double", "empty"]),
)
def test_a_damaged_text_is_refused_or_harmless(place: int, change: str) -> None:
    line = LINES[place]
    changed = {
        "drop": [],
        "cut": [line[: len(line) // 2]],
        "negate": [line.replace("=", "=-", 1)],
        "grow": [line.replace("=", "=99999 ", 1)],
        "double": [line, line],
        "empty": [line.partition("=")[0] + "="],
    }[change]
    text = "\n".join([*LINES[:place], *changed, *LINES[place + 1 :]])
    try:
        state = parse_boosted_state({"trees": text, "features": FEATURES}, "$")
    except InvalidValue:
        return
    loaded = load_trees(state.trees)
    assert np.isfinite(loaded.raw(MATRIX[:20])).all()
    assert np.isfinite(loaded.contributions(MATRIX[:20])).all()
