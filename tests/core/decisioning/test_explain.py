"""An explanation of one offer says what the decision did, and asks every rule and policy."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from kaireon_core.decisioning.explain import OfferExplanation, PartResult, explain_offer
from tests.core.decisioning import reference
from tests.core.decisioning.cases import Case, compile_case, facts_of, request_of
from tests.core.decisioning.worlds import cases

_CONTEST = ("optimize", "rank", "response")


def _explain(case: Case, customer: dict[str, Any]) -> list[OfferExplanation]:
    flow = compile_case(case)
    facts = facts_of(case, flow, [customer])
    return [explain_offer(flow, request_of(case), facts, at) for at in range(len(case["catalogue"]["offers"]))]


@settings(max_examples=200)
@given(case=cases())
def test_law_an_explanation_agrees_with_the_decision(case: Case) -> None:
    customer = case["customers"][0]
    decided = reference.decide(case, customer)
    ranks = {offer: rank for rank, (offer, _) in enumerate(decided.picks, 1)}
    for offer, explained in zip(case["catalogue"]["offers"], _explain(case, customer), strict=True):
        whys = [why for (id_, _), why in decided.dropped.items() if id_ == offer["id"]]
        stages = {stage for stage, *_ in whys}
        is_eligible = offer["id"] in ranks or ("post_rank" not in stages and not stages.isdisjoint(_CONTEST))
        assert explained.rank == ranks.get(offer["id"])
        assert (explained.reason is None) == is_eligible
        if explained.reason is not None:
            reason = explained.reason
            assert (reason.stage, reason.type, reason.entity_id) in whys
            assert explained.score is None


@settings(max_examples=200)
@given(case=cases())
def test_law_what_blocks_an_offer_with_one_candidate_is_among_its_parts(case: Case) -> None:
    customer = case["customers"][0]
    decided = reference.decide(case, customer)
    rows = [
        row for row in (*decided.picks, *decided.dropped) if decided.dropped.get(row, ("",))[0] != "match_creatives"
    ]
    for offer, explained in zip(case["catalogue"]["offers"], _explain(case, customer), strict=True):
        # The same rule may stand in both branches of a condition.
        parts = {(part.document.id, part.result) for part in (*explained.rules, *explained.policies)}
        mine = [row for row in rows if row[0] == offer["id"]]
        why = decided.dropped.get(mine[0]) if len(mine) == 1 else None
        if why is not None and why[0] in ("qualify", "contact_policy") and len(_creatives(case, offer)) < 2:
            assert (str(why[2]), PartResult.BLOCKED) in parts


def _creatives(case: Case, offer: dict[str, Any]) -> list[dict[str, Any]]:
    return [creative for creative in case["catalogue"]["creatives"] if creative["offerId"] == offer["id"]]


def test_what_only_matters_beside_others_is_passed() -> None:
    policies: list[dict[str, Any]] = [
        {"id": "one", "ruleType": "mutual_exclusion", "config": {"offerGroup": ["a", "b"]}},
        {"id": "cap", "ruleType": "frequency_cap", "config": {"maxTotal": 1}, "scope": "global"},
        {"id": "shut", "ruleType": "time_window", "config": {"allowedDays": [0]}, "scope": "global"},
        {"id": "free", "ruleType": "allow_override", "config": {}, "scope": "offer", "scopeId": "b"},
    ]
    nodes = [{"id": type_, "type": type_} for type_ in ("inventory", "contact_policy", "score", "rank", "response")]
    case: Case = {
        "catalogue": {"offers": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "contact_policies": policies},
        "flow": {"version": 2, "nodes": nodes},
        "request": {"now": "2026-03-10T12:00:00+00:00"},
    }
    shut_out, freed, beside = (
        {policy.document.id: policy.result for policy in offer.policies} for offer in _explain(case, {})
    )
    passed, blocked, skipped = PartResult.PASSED, PartResult.BLOCKED, PartResult.SKIPPED
    assert shut_out == {"one": passed, "cap": passed, "shut": blocked, "free": skipped}
    assert freed == {"one": passed, "cap": passed, "shut": passed, "free": passed}
    assert beside == {"one": skipped, "cap": passed, "shut": blocked, "free": skipped}
