"""Services: a decision that stops for their scores comes to what it would have come to with the scores at hand."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings

from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.decisioning.decide import Decisions, Facts, NeedScores, decide, start
from kaireon_core.decisioning.external import Fetched, OfferScores, ScoreNeed
from kaireon_core.learning.external_config import ExternalEndpointConfig
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.fallback import FallbackReason
from tests.core.decisioning.cases import Case, compile_case, facts_of, request_of
from tests.core.decisioning.worlds import cases

_MODELS = {"service": ExternalEndpoint(config=ExternalEndpointConfig(endpoint="https://ml.example.com"))}
_QUIET = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _compiled(case: Case) -> CompiledFlow:
    changed = copy.deepcopy(case)
    for node in changed["flow"]["nodes"]:
        if node["type"] == "score":
            node["config"] = {"method": "propensity", "modelKey": "service"}
    return compile_case(changed, _MODELS)


def _said(customer: int, offer: str) -> float | FallbackReason:
    """Any answer, the same for the same customer and offer."""
    number = hashlib.sha256(f"{customer} {offer}".encode()).digest()[0]
    return FallbackReason.MISSING if number < 40 else number / 100 - 1


def _answers(needs: Sequence[ScoreNeed], flow: CompiledFlow) -> list[Fetched]:
    offers, answers = flow.candidates.catalogue.offers, list[Fetched]()
    for customer in range(len(needs[0].offers)):
        by_model = dict[str, OfferScores]()
        for need in needs:
            said = {
                offers[place].id: _said(customer, offers[place].id) for place in np.flatnonzero(need.offers[customer])
            }
            by_model[need.model_key] = OfferScores(
                scores={offer: one for offer, one in said.items() if not isinstance(one, FallbackReason)},
                reasons={offer: one for offer, one in said.items() if isinstance(one, FallbackReason)},
            )
        answers.append(by_model)
    return answers


def _same(one: Decisions, other: Decisions) -> None:
    assert [picks.tolist() for picks in one.picks] == [picks.tolist() for picks in other.picks]
    assert one.reasons.tobytes() == other.reasons.tobytes()
    assert one.score.tobytes() == other.score.tobytes()
    assert (one.fallbacks is None) == (other.fallbacks is None)
    assert one.fallbacks is None or other.fallbacks is None or one.fallbacks.tobytes() == other.fallbacks.tobytes()


@given(cases())
@_QUIET
def test_stopping_for_scores_changes_nothing(case: Case) -> None:
    flow, request = _compiled(case), request_of(case)
    facts: Facts = facts_of(case, flow, case["customers"])
    decided, fetched = start(flow, request, facts), [dict[str, OfferScores]() for _ in facts.customers]
    while isinstance(decided, NeedScores):
        answers = _answers(decided.needs, flow)
        for mine, found in zip(fetched, answers, strict=True):
            mine.update(found)
        decided = decided.resume(answers)

    again = replace(facts, fetched=fetched)
    at_once = start(flow, request, again)
    assert not isinstance(at_once, NeedScores)
    _same(decided, at_once)
    _same(decided, decide(flow, request, again))


@given(cases())
@_QUIET
def test_who_never_asks_gets_the_fallback_score(case: Case) -> None:
    flow, request = _compiled(case), request_of(case)
    facts: Facts = facts_of(case, flow, case["customers"])
    decided = decide(flow, request, facts)
    if decided.propensity is None or not flow.calls_out:
        return
    assert (np.broadcast_to(decided.propensity, decided.scored.shape)[decided.scored] == 0.5).all()
    assert (decided.degraded == decided.scored.any(axis=1)).all()
