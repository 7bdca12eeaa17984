from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.configs import ScorecardConfig, parse_config
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.model import Model, RowTable
from kaireon_core.learning.scorecard import Scorecard
from kaireon_core.problems import InvalidValue
from kaireon_core.table import CustomerFacts, Table

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "golden" / "scorecard.json").read_text())


def no_trees(text: str) -> Any:
    raise AssertionError(text)


def scorecard(config: dict[str, Any]) -> Model:
    return compile_model("scorecard", config, None, no_trees)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_documented_scores(case: dict[str, Any]) -> None:
    model, table = scorecard(case["config"]), RowTable([case["attributes"]])
    scores, explanation = model.score(table), model.explain(table, 0, 0)
    assert scores.raw.item() == case["raw"]
    assert scores.values.item() == pytest.approx(case["score"], abs=1e-12)
    assert [part.id for part in explanation.contributions if part.matched] == case["matched"]
    assert len(explanation.contributions) == len(case["config"].get("rules", []))


# --- laws --------------------------------------------------------------------------------------------------------

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "ab", "b"])
    | st.lists(st.integers(0, 2), max_size=2)
)
FIELDS = st.sampled_from(["x", "y", "offer.z"])


def rule(index: int, field: str, op: str, value: object, points: float) -> dict[str, Any]:
    return {"id": str(index), "field": field, "operator": op, "value": value, "points": points}


RULES = st.lists(
    st.tuples(
        FIELDS,
        st.one_of(
            st.tuples(st.sampled_from(["in", "not_in"]), st.lists(VALUES, max_size=3)),
            st.tuples(st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte", "contains", "starts_with"]), VALUES),
        ),
        st.integers(-20, 20),
    ),
    max_size=6,
).map(lambda rules: [rule(i, field, op, value, points) for i, (field, (op, value), points) in enumerate(rules)])

NORMALIZATIONS = st.sampled_from(["sigmoid", "linear"])


def same(left: Any, right: Any) -> bool:
    """Equality by kind: a boolean is no number."""
    if type(left) is type(right) is list:
        return len(left) == len(right) and all(map(same, left, right))
    numbers = type(left) in (int, float) and type(right) in (int, float)
    return (numbers or type(left) is type(right)) and left == right


def ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds(value: Any, operand: Any) -> bool:
        numbers = type(value) in (int, float) and type(operand) in (int, float)
        return (numbers or (type(value) is type(operand) is str)) and compare(value, operand)

    return holds


def is_in(value: Any, members: Any) -> bool:
    items: list[Any] = [value, *value] if type(value) is list else [value]
    return any(same(item, member) for item in items for member in members)


def contains(value: Any, operand: Any) -> bool:
    if isinstance(value, list):
        return any(same(item, operand) for item in cast("list[Any]", value))
    return isinstance(value, str) and isinstance(operand, str) and operand in value


def starts_with(value: Any, operand: Any) -> bool:
    return isinstance(value, str) and isinstance(operand, str) and value.startswith(operand)


def negated(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, operand: not holds(value, operand)


REFERENCE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": same,
    "neq": negated(same),
    "gt": ordered(operator.gt),
    "gte": ordered(operator.ge),
    "lt": ordered(operator.lt),
    "lte": ordered(operator.le),
    "in": is_in,
    "not_in": negated(is_in),
    "contains": contains,
    "starts_with": starts_with,
}


def reference_raw(rules: list[dict[str, Any]], customer: dict[str, Any], offer: dict[str, Any]) -> float:
    row = {**customer, **{f"offer.{name}": value for name, value in offer.items()}}
    return 50.0 + sum(r["points"] for r in rules if REFERENCE[r["operator"]](row.get(r["field"]), r["value"]))


@given(
    rules=RULES,
    customers=st.lists(st.fixed_dictionaries({}, optional={"x": VALUES, "y": VALUES}), min_size=1, max_size=4),
    offers=st.lists(st.fixed_dictionaries({}, optional={"z": VALUES}), min_size=1, max_size=4),
    normalization=NORMALIZATIONS,
)
def test_equals_a_loop_over_rules(
    rules: list[dict[str, Any]], customers: list[dict[str, Any]], offers: list[dict[str, Any]], normalization: str
) -> None:
    model = scorecard({"rules": rules, "normalization": normalization})
    facts = [CustomerFacts(customer, {}, {}, {}) for customer in customers]
    table = Table.of(facts, {"offer.z": Column.from_values([offer.get("z") for offer in offers])}, len(offers))
    scores = model.score(table)
    shape = (len(customers), len(offers))
    raw, values = np.broadcast_to(scores.raw, shape), np.broadcast_to(scores.values, shape)
    for i, customer in enumerate(customers):
        for j, offer in enumerate(offers):
            expected = reference_raw(rules, customer, offer)
            assert raw[i, j] == expected
            if normalization == "linear":
                assert values[i, j] == min(1.0, max(0.0, expected / 100))
            else:
                assert values[i, j] == pytest.approx(1 / (1 + math.exp(-(expected - 50) / 100 * 6)), abs=1e-12)
            explanation = model.explain(table, i, j)
            assert explanation.base + sum(part.contribution for part in explanation.contributions) == expected


@given(
    rules=RULES,
    rows=st.lists(st.fixed_dictionaries({}, optional={"x": VALUES, "y": VALUES}), min_size=1, max_size=8),
    normalization=NORMALIZATIONS,
)
def test_one_row_scores_exactly_as_among_many(
    rules: list[dict[str, Any]], rows: list[dict[str, Any]], normalization: str
) -> None:
    model = scorecard({"rules": rules, "normalization": normalization})
    together = model.score(RowTable(rows)).values[:, 0].tolist()
    assert together == [model.score(RowTable([row])).values.item() for row in rows]


# --- what is refused ---------------------------------------------------------------------------------------------

BAD_CONFIGS = [
    ({"minScore": 10, "maxScore": 10}, ["$.config.maxScore"]),
    ({"normalisation": "linear"}, ["$.config.normalisation"]),
    ({"normalization": "softmax"}, ["$.config.normalization"]),
    ({"baseScore": "50"}, ["$.config.baseScore"]),
    ({"rules": [rule(1, "x", "regex", "a", 1)]}, ["$.config.rules[0].operator"]),
    ({"rules": [rule(1, "x", "is_null", None, 1)]}, ["$.config.rules[0].operator"]),
    ({"rules": [rule(1, "x", "in", "a", 1)]}, ["$.config.rules[0].value"]),
    ({"rules": [rule(1, "x", "eq", 1, 1), rule(1, "y", "eq", 1, 1)]}, ["$.config.rules[1].id"]),
    ({"rules": [{"field": "x", "operator": "eq", "value": 1}]}, ["$.config.rules[0].points"]),
    (
        {"rules": [{"field": "", "operator": "eq", "value": 1, "points": "2"}], "maxScore": None},
        ["$.config.maxScore", "$.config.rules[0].field", "$.config.rules[0].points"],
    ),
]


@pytest.mark.parametrize(("config", "paths"), BAD_CONFIGS, ids=lambda value: json.dumps(value)[:60])
def test_bad_configs_are_refused_with_every_problem(config: dict[str, Any], paths: list[str]) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_config(ModelType.SCORECARD, config)
    assert sorted(problem.path for problem in caught.value.problems) == sorted(paths)


def test_rules_without_an_id_are_numbered() -> None:
    config = parse_config(ModelType.SCORECARD, {"rules": [{"field": "x", "operator": "eq", "value": 1, "points": 1}]})
    assert isinstance(config, ScorecardConfig)
    assert [entry.id for entry in config.rules] == ["rule_1"]
    assert Scorecard.compile(config).fields == ("x",)
