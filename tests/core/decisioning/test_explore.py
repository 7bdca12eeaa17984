"""Exploration against counting: how often an answer comes up is what its selection probabilities say."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import pytest

from kaireon_core.decisioning.decide import decide
from tests.core.decisioning.cases import Case, compile_case, facts_of, request_of

_DRAWS = 20_000
# Priorities close to each other, so that every answer comes up.
_PRIORITIES = {"a": 60, "b": 50, "c": 40, "d": 30}
_CAP = {"id": "cap", "ruleType": "frequency_cap", "config": {"maxTotal": 1}}
_LIMITED: list[dict[str, Any]] = [
    {"id": "group", "ruleType": "mutual_exclusion", "config": {"offerGroup": ["a", "b"]}},
    {**_CAP, "scopes": [{"scope": "offer", "scopeId": "c"}, {"scope": "offer", "scopeId": "d"}]},
]


def _case(rank: dict[str, Any], policies: list[dict[str, Any]], limit: int) -> Case:
    types = ["inventory", "contact_policy", "score"]
    nodes: list[dict[str, Any]] = [{"id": type_, "type": type_} for type_ in types]
    return {
        "catalogue": {
            "offers": [{"id": id_, "priority": priority} for id_, priority in _PRIORITIES.items()],
            "contact_policies": policies,
        },
        "flow": {"nodes": [*nodes, {"id": "rank", "type": "rank", "config": {"method": "explore", **rank}}]},
        "request": {"now": "2026-03-10T12:00:00+00:00", "limit": limit},
        "customers": [{"seed": seed} for seed in range(_DRAWS)],
    }


def _answers(case: Case) -> list[tuple[str, list[float]]]:
    flow = compile_case(case)
    decisions = decide(flow, request_of(case), facts_of(case, flow, case["customers"]))
    assert decisions.probabilities is not None
    ids: list[str] = [offer.id for offer in flow.candidates.catalogue.offers]
    return [
        ("".join([ids[int(place)] for place in picks]), chances.tolist())
        for picks, chances in zip(decisions.picks, decisions.probabilities, strict=True)
    ]


@pytest.mark.parametrize("policies", [[], _LIMITED], ids=["free", "limited"])
@pytest.mark.parametrize("rank", [{"temperature": 0.2}, {"epsilon": 0.4}], ids=["temperature", "epsilon"])
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_an_answer_comes_up_as_often_as_its_probabilities_say(
    rank: dict[str, Any], policies: list[dict[str, Any]], limit: int
) -> None:
    answers = _answers(_case(rank, policies, limit))
    expected = {answer: math.prod(chances) for answer, chances in answers}
    counts = Counter(answer for answer, _ in answers)

    # Seeds are fixed, so this either holds for ever or not at all; five deviations are far beyond chance.
    for answer, probability in expected.items():
        deviation = math.sqrt(probability * (1 - probability) / _DRAWS)
        assert abs(counts[answer] / _DRAWS - probability) <= 5 * deviation + 1e-12, answer
    assert sum(expected.values()) == pytest.approx(1, abs=1e-9)
    for answer in expected:
        assert not policies or {"a", "b"} - set(answer)
        assert not policies or {"c", "d"} - set(answer)
    if not policies:
        assert expected.keys() == {"".join(one) for one in itertools.permutations(_PRIORITIES, limit)}


def test_a_probability_is_that_of_what_is_still_admissible() -> None:
    for answer, (first, second) in _answers(_case({"temperature": 0.2}, _LIMITED, 4)):
        weights = {id_: math.exp(priority / 100 / 0.2) for id_, priority in _PRIORITIES.items()}
        rest = {"a", "b"} if answer[0] in "cd" else {"c", "d"}
        assert first == pytest.approx(weights[answer[0]] / sum(weights.values()), abs=1e-12)
        assert second == pytest.approx(weights[answer[1]] / sum(weights[id_] for id_ in rest), abs=1e-12)


def test_nothing_is_drawn_where_there_is_nothing_to_draw_from() -> None:
    case = _case({"epsilon": 1.0}, [], 3)
    case["catalogue"]["offers"] = []
    assert _answers({**case, "customers": [{"seed": 1}]}) == [("", [])]
