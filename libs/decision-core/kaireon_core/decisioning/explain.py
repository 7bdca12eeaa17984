"""Explaining one offer for one customer: the outcome of every rule and policy, not only of the first that failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np

from kaireon_core.catalog.document import Document
from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.decisioning.decide import Facts, begin, decide
from kaireon_core.decisioning.flow_parts import Hook
from kaireon_core.decisioning.rank import Indices
from kaireon_core.decisioning.reasons import KEPT, Reason, Reasons
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
_CONTEST = frozenset({"optimize", "rank", "response"})


def explain_offer(flow: CompiledFlow, request: DecisionRequest, facts: Facts, offer: int) -> OfferExplanation:
    """Return the explanation of the offer at this place of the catalogue, for the first customer of `facts`."""
    return explain_offers(flow, request, facts, [offer])[0]


def explain_offers(
    flow: CompiledFlow, request: DecisionRequest, facts: Facts, offers: Sequence[int]
) -> list[OfferExplanation]:
    """Return the explanations of offers, each a place in the catalogue, for the first customer of `facts`.

    Every rule and policy is asked once, about all candidates; only what it says of each offer is told apart.
    """
    decisions = decide(flow, request, facts)
    columns = _outcome_columns(flow, request, facts)
    rules, policies = columns["qualify"], columns["contact_policy"]
    picks: list[int] = decisions.picks[0].tolist()
    ranks = {int(flow.candidates.offer[row]): rank for rank, row in enumerate(picks, 1)}
    score = np.broadcast_to(decisions.score, decisions.reasons.shape)[0]
    order = np.argsort(flow.candidates.offer, kind="stable")
    starts = np.searchsorted(flow.candidates.offer[order], np.arange(len(flow.candidates.catalogue.offers) + 1))
    explanations = list[OfferExplanation]()
    for offer in offers:
        rows = order[starts[offer] : starts[offer + 1]]
        codes: list[int] = decisions.reasons[0, rows].tolist()
        eligible = _eligible(flow, rows.tolist(), codes)
        explanations.append(
            OfferExplanation(
                reason=None if eligible else _furthest(flow, codes),
                rules=[_outcome(flow, one, rows) for one in rules],
                policies=[_outcome(flow, one, rows) for one in policies],
                score=max((float(score[row]) for row in eligible), default=None),
                rank=ranks.get(offer),
            )
        )
    return explanations


def _eligible(flow: CompiledFlow, rows: Sequence[int], codes: Sequence[int]) -> list[int]:
    """Return the candidates of an offer that may be shown."""
    if any(code and flow.reasons[code - 1].stage == Hook.POST_RANK for code in codes):
        # The best creative of the offer was ranked and masked: the others have lost against it.
        return []
    return [row for row, code in zip(rows, codes, strict=True) if _is_eligible(flow, code)]


def _is_eligible(flow: CompiledFlow, code: int) -> bool:
    return code == KEPT or flow.reasons[code - 1].stage in _CONTEST


def _furthest(flow: CompiledFlow, codes: Sequence[int]) -> Reason | None:
    """Return the reason of the creative that came furthest; codes rise from stage to stage."""
    return flow.reasons[max(codes) - 1] if codes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutcomeColumns:
    """What one rule or policy says of every candidate, each (C,): `codes` where it drops, else 0.

    `reached` are the candidates that the stage was about.
    """

    document: Document
    reached: Mask
    covered: Mask
    codes: Reasons
    fit: Floats


def _outcome_columns(
    flow: CompiledFlow, request: DecisionRequest, facts: Facts
) -> defaultdict[str, list[_OutcomeColumns]]:
    """Ask each rule and policy on its own, after the stages before its own; return them by the name of their stage."""
    before = begin(flow, request, facts)
    columns = defaultdict[str, list[_OutcomeColumns]](list)
    for stage in flow.stages:
        reached = before.alive[0].copy()
        for one in (stage, *stage.inner):
            columns[one.name] += [_columns(part, reached, _fresh(before)) for part in one.parts]
        stage.apply(before)
    return columns


def _columns(part: StagePart, reached: Mask, state: State) -> _OutcomeColumns:
    covered = np.broadcast_to(part.covered(state), state.alive.shape)[0]
    part.apply(state)
    fit = np.ones(len(covered)) if state.fit is None else np.broadcast_to(state.fit, state.alive.shape)[0]
    return _OutcomeColumns(
        document=part.document,
        reached=reached,
        covered=covered,
        codes=np.where(covered, state.reasons[0], np.int16(0)),
        fit=fit,
    )


def _fresh(before: State) -> State:
    """Return a state in which everything is alive again, but what has become of the offers' creatives is kept."""
    return State(
        request=before.request,
        zone=before.zone,
        candidates=before.candidates,
        table=before.table,
        segments=before.segments,
        contacts=before.contacts,
        seeds=before.seeds,
        counters=before.counters,
        learned=before.learned,
        external=before.external,
        mandatory=before.mandatory,
        alive=np.ones_like(before.alive),
        reasons=np.zeros_like(before.reasons),
        bare=before.bare,
    )


def _outcome(flow: CompiledFlow, columns: _OutcomeColumns, rows: Indices) -> PartOutcome:
    """Return what a rule or policy says of the offer that has these candidates; one of them passing is enough.

    Asked are the candidates that came so far; where none did, all of them.
    """
    asked = rows[columns.reached[rows]]
    asked = asked if len(asked) else rows
    mine = asked[columns.covered[asked]]
    if not len(mine):
        return PartOutcome(document=columns.document, result=PartResult.SKIPPED, reason="does not cover this offer")
    dropped = columns.codes[mine][columns.codes[mine] > 0]
    if len(dropped):
        message = flow.reasons[int(dropped.max()) - 1].message
        if len(dropped) == len(asked):
            return PartOutcome(document=columns.document, result=PartResult.BLOCKED, reason=message)
        reason = f"blocks some of the offer's creatives: {message}"
        return PartOutcome(document=columns.document, result=PartResult.PASSED, reason=reason)
    multiplier = float(columns.fit[mine].max())
    reason = f"lowers the score: fit multiplier {multiplier:g}" if multiplier < 1 else "passed"
    return PartOutcome(document=columns.document, result=PartResult.PASSED, reason=reason)
