"""The worked example of docs/explanation says what the formula and the engine say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.core.decisioning.cases import run

_ROOT = Path(__file__).parents[3]
_PAGE = _ROOT / "docs" / "explanation" / "how-a-decision-is-made.md"
_CASE = "the-priority-formula-is-a-geometric-mean"


def _rows() -> dict[str, dict[str, float]]:
    example = _PAGE.read_text(encoding="utf-8").split("## A worked example")[1]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in example.splitlines() if line[:1] == "|"]
    names, _, *rows = cells
    return {row[0]: dict(zip(names[1:], map(float, row[1:]), strict=True)) for row in rows}


def test_the_worked_example_follows_from_its_columns_and_is_what_the_engine_decides() -> None:
    case = json.loads((_ROOT / "tests" / "golden" / "decisions" / f"{_CASE}.json").read_text())
    scores = {offer: score for (offer, _), score in run(case)[0].scores.items()}
    weights = next(node["config"]["formula"] for node in case["flow"]["nodes"] if node["type"] == "score")
    factors = {"P": "propensityWeight", "R": "relevanceWeight", "I": "impactWeight", "E": "emphasisWeight"}

    assert _CASE in _PAGE.read_text(encoding="utf-8")
    assert _rows().keys() == scores.keys()
    for offer, row in _rows().items():
        assert row["R"] == pytest.approx((row["c"] + row["r"] + row["s"]) / 3, abs=5e-5)
        product = 1.0
        for name, weight in factors.items():
            product *= row[name] ** weights[weight]
        assert row["score"] == pytest.approx(product, abs=1e-4)
        assert row["score"] == pytest.approx(scores[offer], abs=5e-5)
