"""Explaining a decision that was made: everything derived from the columns of its trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
import numpy as np

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.decisioning.answer import assignment_of
from kaireon_application.decisioning.decided_customer import PUBLIC_PREFIX
from kaireon_application.decisioning.drop_details import DropDetails
from kaireon_application.decisioning.shadow_columns import ShadowScore, read_shadows
from kaireon_application.decisioning.snapshot import CandidateEntry, Legend
from kaireon_application.decisioning.trace import TraceContent, fallbacks_of, floats_of, reasons_of, scores_of
from kaireon_application.decisioning.wire import ExperimentAssignment, FunnelStage
from kaireon_application.errors import NotFound
from kaireon_application.experimentation.variant import CONTROL
from kaireon_core.decisioning.reasons import KEPT, Reason, Reasons, StageCount, funnel, is_scored
from kaireon_core.learning.fallback import FallbackReason, reason_of

_PRIORITY_WEIGHTED = "priority_weighted"
# What may not be shown again, or not any more; and what has lost against others.
_CONTACT = frozenset({"contact_policy", "mandatory", "constraints"})
_CONTEST = frozenset({"optimize", "guardrails", "rank", "post_rank", "response"})
_NARROWING = frozenset({"inventory", "filter", "match_creatives", "qualify"})


class TraceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces to list, newest first."""

    limit: int
    offset: int = 0
    after: ListPosition | None = None
    customer_id: str | None = None
    recommendation_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrace:
    """A trace with its legend."""

    recommendation_id: UUID
    decided_at: datetime
    customer_id: str
    flow_id: UUID
    flow_key: str | None
    flow_version: int
    content: TraceContent
    legend: Legend


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePage:
    """One page of traces; `next_position` is None on the last one."""

    traces: list[StoredTrace]
    total: int
    next_position: ListPosition | None


class Traces(Protocol):
    """Reads decision traces. Raises `Unavailable` while Postgres cannot be reached."""

    async def page(self, tenant_id: UUID, query: TraceQuery) -> TracePage:
        """Return one page of traces, newest first."""
        ...

    async def is_erased(self, tenant_id: UUID, decision_id: UUID) -> bool:
        """Return whether there was such a decision that went with everything about its customer."""
        ...


async def find_trace(traces: Traces, tenant_id: UUID, decision_id: UUID) -> StoredTrace:
    """Return the trace of a decision. Raises `NotFound` when it has none."""
    page = await traces.page(tenant_id, TraceQuery(limit=1, recommendation_id=decision_id))
    if not page.traces:
        message = f"the decision '{decision_id}' has no trace: decisions may be sampled, and traces end with retention"
        raise NotFound(message)
    return page.traces[0]


class DroppedCandidate(CandidateEntry, frozen=True, kw_only=True, rename="camel"):
    """A candidate with the reason why it is not in the answer."""

    stage: str
    reason: str
    type: str
    entity_id: str | None
    entity_name: str | None
    detail: dict[str, Any]


class ScoringResult(CandidateEntry, frozen=True, kw_only=True, rename="camel"):
    """A candidate that was scored; `rank` and `selection_probability` are null unless it was chosen.

    `mandatory` says of a chosen one whether it had to be shown, `fallback_reason` why the propensity stands in for the
    model's own.
    """

    rank: int | None
    selection_probability: float | None
    mandatory: bool
    score: float
    propensity: float | None
    fit_multiplier: float
    model_type: str
    model_key: str | None
    shadow_scores: dict[str, ShadowScore]
    fallback_reason: FallbackReason | None
    explanation: str


class PipelineStage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One stage of the funnel; `duration_ms` is null unless the decision was asked to measure itself."""

    stage: str
    candidates: int
    passed: int
    duration_ms: float | None


class TopOffer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The first offer of an answer."""

    offer_id: str
    score: float


class TraceResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a decision came to."""

    count: int
    top_offer: TopOffer | None


class TraceRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A trace in a list."""

    id: str
    recommendation_id: str
    request_id: str
    customer_id: str
    decision_flow_id: str
    decision_flow_key: str | None
    flow_version: int
    pipeline: list[PipelineStage]
    result: TraceResult
    total_duration_ms: float
    degraded_scoring: bool
    created_at: datetime


class TraceDetail(TraceRow, frozen=True, kw_only=True, rename="camel"):
    """A trace in full: every candidate is in `scoringResults` or has its reason in one of the lists of results."""

    snapshot_version: str
    engine_version: str
    candidate_count: int
    after_qualification: int
    after_suppression: int
    after_contact_policy: int
    final_count: int
    funnel: list[FunnelStage]
    inventory_results: list[DroppedCandidate]
    qualification_results: list[DroppedCandidate]
    contact_policy_results: list[DroppedCandidate]
    ranking_results: list[DroppedCandidate]
    scoring_results: list[ScoringResult]
    selected_offers: list[ScoringResult]
    channel_coupling: list[dict[str, Any]]
    experiment_assignment: ExperimentAssignment | None
    control_group: bool
    guardrail_warnings: list[str]
    request: dict[str, Any]
    facts: dict[str, Any]


def list_row(trace: StoredTrace) -> TraceRow:
    """Return a trace as it is listed."""
    return TraceRow(**_common(trace))


def detail(trace: StoredTrace) -> TraceDetail:
    """Return a trace in full."""
    content, legend = trace.content, trace.legend
    reasons = reasons_of(content)
    counts = funnel(tuple(legend.spans), reasons)
    scored = _scored(trace, reasons)
    dropped = _dropped(trace, reasons)
    after_qualification, after_contact_policy = narrowed(counts, len(reasons))
    return TraceDetail(
        **_common(trace),
        snapshot_version=content.snapshot_hash.hex()[:16],
        engine_version=content.engine_version,
        candidate_count=len(reasons),
        after_qualification=after_qualification,
        after_suppression=after_contact_policy,
        after_contact_policy=after_contact_policy,
        final_count=len(content.picks),
        funnel=[FunnelStage(stage=count.stage, in_=count.in_, out=count.out) for count in counts],
        inventory_results=[one for one in dropped if one.stage in {"inventory", "filter", "match_creatives"}],
        qualification_results=[one for one in dropped if one.stage in {"qualify", "pre_score"}],
        contact_policy_results=[one for one in dropped if one.stage in _CONTACT],
        ranking_results=[one for one in dropped if one.stage in _CONTEST],
        scoring_results=scored,
        selected_offers=[one for one in scored if one.rank is not None],
        channel_coupling=content.coupling,
        experiment_assignment=assignment_of(content.experiment_key, content.variant),
        control_group=content.variant == CONTROL,
        guardrail_warnings=content.warnings,
        request=content.request,
        facts=content.facts,
    )


def narrowed(counts: Sequence[StageCount], candidates: int) -> tuple[int, int]:
    """Return how many of the candidates were left after qualification, and after the contact policies."""
    left = {count.stage: count.out for count in counts}
    narrowing = [count.out for count in counts if count.stage in _NARROWING]
    qualified = left.get("qualify", narrowing[-1] if narrowing else candidates)
    return qualified, min((left[stage] for stage in _CONTACT if stage in left), default=qualified)


def _common(trace: StoredTrace) -> dict[str, Any]:
    content = trace.content
    spans, reasons = tuple(trace.legend.spans), reasons_of(content)
    scores = scores_of(content, is_scored(spans, reasons))
    counts = funnel(spans, reasons)
    top = content.picks[0] if content.picks else None
    top_offer = None
    if top is not None:
        top_offer = TopOffer(offer_id=trace.legend.candidates[top].offer_id, score=float(scores[top]))
    public_id = f"{PUBLIC_PREFIX}{trace.recommendation_id}"
    return {
        "id": str(trace.recommendation_id),
        "recommendation_id": public_id,
        "request_id": public_id,
        "customer_id": trace.customer_id,
        "decision_flow_id": str(trace.flow_id),
        "decision_flow_key": trace.flow_key,
        "flow_version": trace.flow_version,
        "pipeline": [
            PipelineStage(
                stage=count.stage,
                candidates=count.in_,
                passed=count.out,
                duration_ms=content.durations_ms.get(count.stage),
            )
            for count in counts
        ],
        "result": TraceResult(count=len(content.picks), top_offer=top_offer),
        "total_duration_ms": content.duration_ms,
        "degraded_scoring": content.is_degraded,
        "created_at": trace.decided_at,
    }


def shown(trace: StoredTrace, row: int) -> CandidateEntry:
    """Return a candidate as it was shown or would have been: an offer that stood for itself had no creative."""
    candidate, bare = trace.legend.candidates[row], trace.content.bare
    if bare is None or not bare[row]:
        return candidate
    return msgspec.structs.replace(candidate, creative_id=None, creative_name=None, channel_id=None, placement_id=None)


def _dropped(trace: StoredTrace, reasons: Reasons) -> list[DroppedCandidate]:
    codes: list[int] = reasons.tolist()
    candidates = [(code, shown(trace, row)) for row, code in enumerate(codes) if code != KEPT]
    details = DropDetails.of(trace.content, [(code, candidate.offer_id) for code, candidate in candidates])
    return [_with_reason(trace.legend.reasons[code - 1], code, candidate, details) for code, candidate in candidates]


def _with_reason(reason: Reason, code: int, candidate: CandidateEntry, details: DropDetails) -> DroppedCandidate:
    return DroppedCandidate(
        **msgspec.structs.asdict(candidate),
        stage=reason.stage,
        reason=reason.message,
        type=reason.type,
        entity_id=reason.entity_id,
        entity_name=reason.entity_name,
        detail=details.told(reason, code, candidate.offer_id),
    )


def _scored(trace: StoredTrace, reasons: Reasons) -> list[ScoringResult]:
    """Return every candidate that reached scoring, the chosen ones first, then by score."""
    content, legend = trace.content, trace.legend
    scored = is_scored(tuple(legend.spans), reasons)
    scores = scores_of(content, scored)
    propensities = None if content.propensities is None else floats_of(content.propensities, scored)
    fits = np.ones(len(scores)) if content.fits is None else floats_of(content.fits, scored)
    fallbacks, shadows = fallbacks_of(content, scored), read_shadows(content.shadows, scored)
    chosen: list[tuple[int, int | None]] = [(row, rank) for rank, row in enumerate(content.picks, 1)]
    others: list[int] = np.flatnonzero(scored & ~np.isin(np.arange(len(scored)), content.picks)).tolist()
    others.sort(key=lambda row: (-scores[row], row))
    return [
        ScoringResult(
            **{**msgspec.structs.asdict(shown(trace, row)), **_placement(content, rank)},
            rank=rank,
            selection_probability=_chance(content, rank),
            mandatory=row in (content.mandatory or ()),
            score=float(scores[row]),
            propensity=None if propensities is None else float(propensities[row]),
            fit_multiplier=float(fits[row]),
            model_type=legend.model_type or _PRIORITY_WEIGHTED,
            model_key=legend.model_key,
            shadow_scores=shadows[row],
            fallback_reason=reason_of(int(fallbacks[row])),
            explanation=_explain(scores[row], propensities, fits, row),
        )
        for row, rank in (*chosen, *((row, None) for row in others))
    ]


def _placement(content: TraceContent, rank: int | None) -> dict[str, Any]:
    """Return where a choice went, nothing where that is its creative's own placement."""
    placement = None if rank is None or content.placements is None else content.placements[rank - 1]
    return {} if placement is None else {"placement_id": placement}


def _chance(content: TraceContent, rank: int | None) -> float | None:
    if rank is None:
        return None
    return 1.0 if content.selection is None else content.selection[rank - 1]


def _explain(score: float, propensities: Any, fits: Any, row: int) -> str:
    if propensities is None:
        return f"priority/100 x weight/100 x fit {fits[row]:g} = {score:.6g}"
    return f"propensity {propensities[row]:.6g} x fit {fits[row]:g} = {score:.6g}"
