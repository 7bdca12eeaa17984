"""Decisions as data: each file of tests/golden/decisions says what is decided, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.core.decisioning import reference
from tests.core.decisioning.cases import Outcome, Row, Why, run

_FOLDER = Path(__file__).parents[2] / "golden" / "decisions"


@pytest.mark.parametrize("name", sorted(path.stem for path in _FOLDER.glob("*.json")))
def test_decision_is_as_written(name: str) -> None:
    case = json.loads((_FOLDER / f"{name}.json").read_text())
    by_reference = [reference.decide(case, customer) for customer in case["customers"]]
    for decided in (run(case), by_reference):
        for outcome, expected in zip(decided, case["expectations"], strict=True):
            _check(outcome, expected)


def _check(outcome: Outcome, expected: dict[str, Any]) -> None:
    assert [_label(row) for row in outcome.picks] == expected["decisions"]
    assert {_label(row): _reason(why) for row, why in outcome.dropped.items()} == expected["dropped"]
    if "scores" in expected:
        scores = {_label(row): score for row, score in outcome.scores.items()}
        assert scores == pytest.approx(expected["scores"], rel=0, abs=1e-12)
    if "probabilities" in expected:
        assert outcome.probabilities == pytest.approx(expected["probabilities"], rel=0, abs=1e-12)
    assert outcome.placements == expected.get("placements")
    assert outcome.coupling == expected.get("coupling", [])
    if "properties" in expected:
        assert outcome.properties == expected["properties"]
    if "funnel" in expected:
        assert [list(count) for count in outcome.funnel] == expected["funnel"]
    assert outcome.is_degraded == expected.get("degraded", False)


def _label(row: Row) -> str:
    return "/".join(part for part in row if part)


def _reason(why: Why) -> str:
    return " ".join(part for part in why if part)
