"""Explaining one offer for one customer: the outcome of every rule and policy, not only of the first that failed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np

from kaireon_core.catalog.document import Document
from kaireon_core.column import Mask
from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.decisioning.decide import Facts, begin, decide
from kaireon_core.decisioning.flow import Hook
from kaireon_core.decisioning.reasons import KEPT, Reason
from kaireon_core.decisioning.request import DecisionRequest
from kaireon_core.decisioning.state import StagePart, State


class PartResult(StrEnum):
    """What a rule or policy says of an offer; `skipped` when it does not cover it."""

    PASSED = "passed"
    BLOCKED = "blocked"
    SKIPPED = "skipped"


class PartOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule or policy says of an offer, whatever the others say."""

    document: Document
    result: PartResult
    reason: str


class OfferExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an offer may or may not be shown: `reason` is None when it is eligible.

    An offer with several creatives is as good as the best of them: it is blocked when all of them are.
    """

    reason: Reason | None
    rules: list[PartOutcome]
    policies: list[PartOutcome]
    score: float | None
    rank: int | None


# Stages that come after eligibility: an offer that is dropped here is eligible, others are better.
_CONTEST = frozenset({"rank", "response"})


def explain_offer(flow: CompiledFlow, request: DecisionRequest, facts: Facts, offer: int) -> OfferExplanation:
    """Return the explanation of the offer at this place of the catalogue, for the first customer of `facts`."""
    mine = flow.candidates.offer == offer
    decisions = decide(flow, request, facts)
    rows = np.flatnonzero(mine)
    codes = decisions.reasons[0, rows]
    all_codes: list[int] = codes.tolist()
    eligible = [int(row) for row, code in zip(rows, all_codes, strict=True) if _is_eligible(flow, code)]
    if any(code and flow.reasons[code - 1].stage == Hook.POST_RANK for code in all_codes):
        # The best creative of the offer was ranked and masked: the others have lost against it.
        eligible = []
    picks: list[int] = decisions.picks[0].tolist()
    score = np.broadcast_to(decisions.score, decisions.reasons.shape)[0]
    return OfferExplanation(
        reason=None if eligible else _furthest(flow, all_codes),
        rules=_outcomes(flow, request, facts, mine, "qualify"),
        policies=_outcomes(flow, request, facts, mine, "contact_policy"),
        score=max((float(score[row]) for row in eligible), default=None),
        rank=next((rank for rank, row in enumerate(picks, 1) if mine[row]), None),
    )


def _is_eligible(flow: CompiledFlow, code: int) -> bool:
    return code == KEPT or flow.reasons[code - 1].stage in _CONTEST


def _furthest(flow: CompiledFlow, codes: Sequence[int]) -> Reason | None:
    """Return the reason of the creative that came furthest; codes rise from stage to stage."""
    return flow.reasons[max(codes) - 1] if codes else None


def _outcomes(
    flow: CompiledFlow, request: DecisionRequest, facts: Facts, mine: Mask, stage_name: str
) -> list[PartOutcome]:
    """Return what each rule or policy of a stage says, each asked on its own after the stages before it."""
    before = begin(flow, request, facts)
    outcomes = list[PartOutcome]()
    for stage in flow.stages:
        asked = [one for one in (stage, *stage.inner) if one.name == stage_name]
        outcomes += [_outcome(flow, part, _fresh(before), mine) for one in asked for part in one.parts]
        stage.apply(before)
    return outcomes


def _fresh(before: State) -> State:
    """Return a state in which everything is alive again, but what has become of the offers' creatives is kept."""
    return State(
        request=before.request,
        zone=before.zone,
        candidates=before.candidates,
        table=before.table,
        segments=before.segments,
        contacts=before.contacts,
        alive=np.ones_like(before.alive),
        reasons=np.zeros_like(before.reasons),
        bare=before.bare,
    )


def _outcome(flow: CompiledFlow, part: StagePart, state: State, mine: Mask) -> PartOutcome:
    covered = np.broadcast_to(part.covered(state), state.alive.shape)[0] & mine
    if not covered.any():
        return PartOutcome(document=part.document, result=PartResult.SKIPPED, reason="does not cover this offer")
    part.apply(state)
    dropped = covered & ~state.alive[0]
    if (dropped == covered).all():
        code = int(state.reasons[0, dropped].max())
        return PartOutcome(document=part.document, result=PartResult.BLOCKED, reason=flow.reasons[code - 1].message)
    if state.fit is not None:
        multiplier = float(np.broadcast_to(state.fit, state.alive.shape)[0, covered].max())
        if multiplier < 1:
            reason = f"lowers the score: fit multiplier {multiplier:g}"
            return PartOutcome(document=part.document, result=PartResult.PASSED, reason=reason)
    return PartOutcome(document=part.document, result=PartResult.PASSED, reason="passed")
