"""Shadows: they score what was scored, fail without a sound, and change nothing."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.decisioning.decide import Decisions, Facts, decide
from kaireon_core.decisioning.parse_flow import parse_flow
from kaireon_core.decisioning.shadows import ShadowResults, ShadowScores
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.learning.model import BoundModel, Explanation, Fields, Scores
from kaireon_core.problems import InvalidValue
from tests.core.decisioning.cases import Case, compile_case, facts_of, request_of
from tests.core.decisioning.worlds import cases

_KEYS = ["card", "other", "raising", "nan", "untrained", "retired"]


@dataclass(frozen=True, slots=True)
class _Faulty:
    """A model that does what no model should."""

    answer: float | None
    fields: tuple[str, ...] = ()

    def score(self, table: Fields) -> Scores:
        if self.answer is None:
            message = "out of memory"
            raise MemoryError(message)
        values = np.full((table.customers, table.candidates), self.answer)
        return Scores(values, values)

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        raise NotImplementedError

    def bound(self, candidates: Fields) -> BoundModel | None:
        del candidates
        return None


def _with_shadows(case: Case, *keys: str) -> Case:
    changed = copy.deepcopy(case)
    for node in (node for flow in (changed["flow"], *changed.get("flows", {}).values()) for node in flow["nodes"]):
        if node["type"] == "score":
            node["config"] = {**node.get("config", {}), "shadowModelKeys": list(keys)}
    return changed


def _compiled(case: Case) -> CompiledFlow:
    return compile_case(case, {"raising": _Faulty(None), "nan": _Faulty(np.nan)}, {"untrained": "gradient_boosted"})


def _decided(case: Case, shadowed: list[bool] | None = None) -> tuple[CompiledFlow, Decisions]:
    flow = _compiled(case)
    facts: Facts = facts_of(case, flow, case["customers"])
    everybody = [True] * len(case["customers"])
    return flow, decide(flow, request_of(case), replace(facts, shadowed=np.array(shadowed or everybody)))


def _bytes_of(decisions: Decisions) -> list[object]:
    columns = [decisions.reasons, decisions.score, decisions.propensity, decisions.fit, decisions.bare]
    columns += [decisions.mandatory, decisions.fallbacks, decisions.degraded, decisions.scored]
    return [
        *(None if one is None else one.tobytes() for one in [*columns, *decisions.picks]),
        None if decisions.probabilities is None else [one.tobytes() for one in decisions.probabilities],
        None if decisions.placed is None else [[cell.seed for cell in mine] for mine in decisions.placed],
        decisions.emptied,
        decisions.properties,
        [(guardrail.id, failing.tobytes()) for guardrail, failing in decisions.guardrails],
    ]


@settings(max_examples=600)
@given(case=cases())
def test_law_shadows_change_no_byte_of_a_decision(case: Case) -> None:
    flow, shadowed = _decided(_with_shadows(case, *_KEYS))
    plain, decisions = _decided(_with_shadows(case))
    assert _bytes_of(shadowed) == _bytes_of(decisions)
    assert (flow.reasons, flow.spans, flow.needs) == (plain.reasons, plain.spans, plain.needs)


@settings(max_examples=300)
@given(case=cases())
def test_law_a_shadow_scores_what_was_scored_and_as_it_would_for_each_alone(case: Case) -> None:
    changed = _with_shadows(case, *_KEYS)
    flow, together = _decided(changed)
    if not flow.shadows:
        return
    assert together.shadows is not None
    for number, customer in enumerate(case["customers"]):
        _, alone = _decided({**changed, "customers": [customer]})
        only = [place == number for place in range(len(case["customers"]))]
        sampled = _decided(changed, only)[1].shadows
        assert sampled is not None
        assert [sampled.place_of(place) is not None for place in range(len(only))] == only
        for mine in (_row(together.shadows, number), _row(sampled, number)):
            assert [_told(one) for one in mine] == [_told(one) for one in _row(alone.shadows, 0)]
        for one in _row(together.shadows, number):
            answered = np.isfinite(one.values) | (one.reasons != 0)
            assert np.array_equal(answered, together.scored[number])


def _row(results: ShadowResults | None, customer: int) -> list[ShadowScores]:
    assert results is not None
    place = results.place_of(customer)
    assert place is not None
    return [replace(one, values=one.values[place], reasons=one.reasons[place]) for one in results.scores]


def _told(one: ShadowScores) -> tuple[str, bytes, bytes]:
    return one.key, one.values.tobytes(), one.reasons.tobytes()


@pytest.fixture
def case() -> Case:
    nodes: list[dict[str, Any]] = [
        {"id": "inventory", "type": "inventory"},
        {"id": "score", "type": "score", "config": {"shadowModelKeys": _KEYS}},
    ]
    config: dict[str, Any] = {"baseScore": 30, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": []}
    return {
        "catalogue": {"offers": [{"id": id_, "priority": 50} for id_ in ("a", "b")]},
        "models": {"card": config, "other": {**config, "baseScore": 60}},
        "flow": {"nodes": nodes},
        "request": {"now": "2026-03-10T12:00:00+00:00"},
        "customers": [{}, {}],
    }


def test_a_shadow_that_cannot_score_says_why(case: Case) -> None:
    _, decisions = _decided(case)
    assert decisions.shadows is not None
    found = {one.key: one for one in decisions.shadows.scores}
    assert "retired" not in found
    assert (found["card"].values == 0.3).all()
    assert (found["other"].values == 0.6).all()
    reasons = {"untrained": FallbackReason.NOT_READY, "raising": FallbackReason.ERROR, "nan": FallbackReason.MALFORMED}
    for key, reason in reasons.items():
        assert (found[key].reasons == reason.code).all()
        assert np.isnan(found[key].values).all()
    assert {key for key, one in found.items() if one.error} == {"raising"}
    assert found["raising"].error == "MemoryError('out of memory')"
    assert not decisions.degraded.any()


def test_nobody_is_shadowed_unasked(case: Case) -> None:
    flow = _compiled(case)
    facts = facts_of(case, flow, case["customers"])
    assert decide(flow, request_of(case), facts).shadows is None
    assert decide(flow, request_of(case), replace(facts, shadowed=np.zeros(2, np.bool_))).shadows is None


def test_a_shadow_stands_once_in_a_node(case: Case) -> None:
    with pytest.raises(InvalidValue) as error:
        parse_flow(_with_shadows(case, "card", "other", "card")["flow"])
    assert [problem.path for problem in error.value.problems] == ["$.nodes[1].config.shadowModelKeys[2]"]
