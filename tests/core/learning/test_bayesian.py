"""Naive Bayes against its formula, worked out with fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from scipy.special import expit

from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.model import RowTable
from kaireon_core.learning.untrained import Untrained
from tests.core.learning.test_additive import no_trees

STATE = {
    "priors": {"positive": 6, "negative": 14},
    "likelihoods": {
        "segment": {"positive": {"Gold": 5, "Silver": 1}, "negative": {"Silver": 14}},
        "income": {"positive": {"1": 2, "2": 4}, "negative": {"0": 10, "1": 4}},
        "owner": {"positive": {"true": 6}, "negative": {"true": 1, "false": 13}},
    },
    "binEdges": {"income": [30, 60]},
}


def score_of(row: dict[str, Any], state: dict[str, Any] = STATE, **config: Any) -> float:
    return float(compile_model("bayesian", config, state, no_trees).score(RowTable([row])).values.item())


def share(count: int, of: int, values: int, alpha: Fraction = Fraction(1)) -> Fraction:
    return (count + alpha) / (of + alpha * values)


CASES: list[tuple[dict[str, Any], Fraction]] = [
    ({}, Fraction(6, 14)),
    ({"segment": "Gold"}, Fraction(6, 14) * share(5, 6, 2) / share(0, 14, 2)),
    ({"segment": "Platinum"}, Fraction(6, 14)),
    ({"segment": None}, Fraction(6, 14)),
    # An edge belongs to the bin above it.
    ({"income": 29.9}, Fraction(6, 14) * share(0, 6, 3) / share(10, 14, 3)),
    ({"income": 30}, Fraction(6, 14) * share(2, 6, 3) / share(4, 14, 3)),
    ({"income": 60}, Fraction(6, 14) * share(4, 6, 3) / share(0, 14, 3)),
    ({"income": "60"}, Fraction(6, 14)),
    ({"income": True}, Fraction(6, 14)),
    ({"owner": False}, Fraction(6, 14) * share(0, 6, 2) / share(13, 14, 2)),
    (
        {"segment": "Silver", "income": 100, "owner": True},
        Fraction(6, 14)
        * (share(1, 6, 2) / share(14, 14, 2))
        * (share(4, 6, 3) / share(0, 14, 3))
        * (share(6, 6, 2) / share(1, 14, 2)),
    ),
]


@pytest.mark.parametrize(("row", "odds"), CASES, ids=str)
def test_scores_are_those_of_the_formula(row: dict[str, Any], odds: Fraction) -> None:
    assert score_of(row) == pytest.approx(float(odds / (1 + odds)), abs=1e-12)


def test_alpha_smooths_the_likelihoods_and_not_the_priors() -> None:
    odds = Fraction(6, 14) * share(5, 6, 2, Fraction(1, 2)) / share(0, 14, 2, Fraction(1, 2))
    assert score_of({"segment": "Gold"}, laplaceSmoothingAlpha=0.5) == pytest.approx(float(odds / (1 + odds)))
    assert score_of({}, laplaceSmoothingAlpha=100) == pytest.approx(0.3)


def test_edges_may_stand_in_the_config() -> None:
    state: dict[str, Any] = {"priors": STATE["priors"], "likelihoods": STATE["likelihoods"]}
    assert score_of({"income": 60}, state, binEdges={"income": [30, 60]}) == score_of({"income": 60})


@pytest.mark.parametrize("empty", ["positive", "negative"])
def test_an_empty_class_gives_even_odds(empty: str) -> None:
    state = {**STATE, "priors": {"positive": 5, "negative": 5, empty: 0}}
    assert isinstance(compile_model("bayesian", {}, state, no_trees), Untrained)
    assert score_of({"segment": "Gold"}, state) == 0.5


@pytest.mark.parametrize(("rows", "confidence"), [(20, math.sqrt(0.02)), (1000, 1.0), (5000, 1.0)])
def test_confidence_grows_with_the_rows(rows: int, confidence: float) -> None:
    state = {"priors": {"positive": rows / 2, "negative": rows / 2}}
    explanation = compile_model("bayesian", {}, state, no_trees).explain(RowTable([{}]), 0, 0)
    assert explanation.confidence == pytest.approx(confidence)


def test_a_contribution_is_the_difference_of_the_log_likelihoods() -> None:
    row = {"segment": "Gold", "income": 100}
    explanation = compile_model("bayesian", {}, STATE, no_trees).explain(RowTable([row]), 0, 0)
    found = {part.field: part.contribution for part in explanation.contributions}
    assert found["segment"] == pytest.approx(math.log(6 / 8) - math.log(1 / 16))
    assert found["owner"] == 0
    assert expit(explanation.base + sum(found.values())) == pytest.approx(score_of(row))
