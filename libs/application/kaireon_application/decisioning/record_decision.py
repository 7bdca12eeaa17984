"""What a decision leaves behind: interactions, summaries, events and its trace, in one change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, overload

import msgspec
import numpy as np

import kaireon_core
from kaireon_application.customers.suppression import suppressions_after
from kaireon_application.decisioning.changes import (
    DecisionChange,
    EventRow,
    IdempotencyRow,
    InteractionRow,
    RecommendedItems,
    SummaryRow,
    TraceRow,
)
from kaireon_application.decisioning.facts import ContactRow, CustomerRecord
from kaireon_application.decisioning.snapshot import LiveFlow, TenantSnapshot
from kaireon_application.decisioning.trace import TraceContent
from kaireon_application.decisioning.wire import DecisionItem, Recommendation
from kaireon_application.platform.event_schemas import DECISION_MADE, INTERACTION_RECORDED
from kaireon_application.platform.identity import new_ids
from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.decide import Decisions
from kaireon_core.decisioning.reasons import is_scored
from kaireon_core.decisioning.request import DecisionRequest
from kaireon_core.table import CustomerFacts

PUBLIC_PREFIX = "rec_"
IMPRESSION = "impression"
_encode = msgspec.json.Encoder().encode


class IdempotencyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The idempotency key of a request and the hash of its body."""

    key: str
    body_hash: bytes


@dataclass(kw_only=True)
class DecidedCustomer:
    """A decision for one customer, before it is written down."""

    customer_id: str
    record: CustomerRecord
    facts: CustomerFacts
    segments: frozenset[str]
    request: DecisionRequest
    decisions: Decisions
    # Which of the customers of `decisions` this is.
    index: int
    load_ms: float
    enrichment_ms: float
    duration_ms: float = 0.0
    ids: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        """Draw the ids of the decision and of its event."""
        self.ids = new_ids(self.request.now_ms, 2)

    @cached_property
    def picks(self) -> list[int]:
        """The chosen candidates in rank order."""
        return self.decisions.picks[self.index].tolist()

    @property
    def decision_id(self) -> str:
        """The UUID of the recommendation id."""
        return self.ids[0]

    @property
    def recommendation_id(self) -> str:
        """The public id."""
        return PUBLIC_PREFIX + self.ids[0]

    @cached_property
    def bare(self) -> list[bool]:
        """Which of the chosen candidates stand for their offer alone."""
        mask = self.decisions.bare
        return [False if mask is None else bool(mask[candidate]) for candidate in self.picks]

    def items(self, live: LiveFlow) -> list[DecisionItem]:
        """Return the offers as they are answered."""
        scores = _row(self.decisions.score, self.index)
        propensities = None if self.decisions.propensity is None else _row(self.decisions.propensity, self.index)
        return [
            live.items.write(
                candidate,
                self.facts,
                rank=rank,
                score=float(scores[candidate]),
                propensity=None if propensities is None else float(propensities[candidate]),
                is_bare=is_bare,
            )
            for rank, (candidate, is_bare) in enumerate(zip(self.picks, self.bare, strict=True), 1)
        ]


def _row(values: Floats, customer: int) -> Floats:
    """Return one customer's values, (C,), also where all customers share them."""
    return values[customer if len(values) > 1 else 0]


def build_change(
    snapshot: TenantSnapshot,
    live: LiveFlow,
    decided: DecidedCustomer,
    answer: Recommendation,
    idempotency: IdempotencyDraft | None,
) -> tuple[DecisionChange, list[ContactRow]]:
    """Return what to commit, and the contacts that it adds to the customer's history."""
    now_ms = decided.request.now_ms
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    picks = decided.picks
    is_shown = [
        live.items.is_implicit(candidate, is_bare=is_bare)
        for candidate, is_bare in zip(picks, decided.bare, strict=True)
    ]
    shown = [item for item, implicit in zip(answer.decisions, is_shown, strict=True) if implicit]
    # An impression's event has its id.
    impressions = [
        _impression(id_, decided, item) for id_, item in zip(new_ids(now_ms, len(shown)), shown, strict=True)
    ]
    day = at.astimezone(snapshot.zone).date().isoformat()
    tenant_id = snapshot.configuration.tenant_id
    events = [_decision_made(decided, snapshot, live, answer, at)]
    events += [_impression_recorded(tenant_id, decided, row, at, offset) for offset, row in enumerate(impressions, 1)]
    change = DecisionChange(
        tenant_id=tenant_id,
        customer_id=decided.customer_id,
        expected_version=decided.record.history.version,
        decision_id=decided.decision_id,
        decided_at_ms=now_ms,
        details=_encode({"context": decided.facts.context}) if decided.facts.context else None,
        flow_id=live.published.id,
        flow_version=live.published.version,
        recommended=_recommended(answer.decisions),
        impressions=impressions,
        summaries=[_summary(row, day) for row in impressions],
        events=events,
        trace=_trace(snapshot, live, decided) if _is_traced(snapshot, decided) else None,
        suppressions=suppressions_after(impressions, snapshot),
        idempotency=None
        if idempotency is None
        else IdempotencyRow(key=idempotency.key, body_hash=idempotency.body_hash, answer=_encode(answer)),
    )
    contacts: list[ContactRow] = [(row.offer_id, row.creative_id, row.channel_id, now_ms, 1) for row in impressions]
    return change, contacts


def _recommended(items: Sequence[DecisionItem]) -> RecommendedItems:
    return RecommendedItems(
        offer_ids=[item.offer_id for item in items],
        creative_ids=[item.creative_id for item in items],
        channel_ids=[item.channel_id for item in items],
        placement_ids=[item.placement_id for item in items],
        scores=[item.score for item in items],
    )


def _impression(id_: str, decided: DecidedCustomer, item: DecisionItem) -> InteractionRow:
    return InteractionRow(
        id=id_,
        occurred_at_ms=decided.request.now_ms,
        kind=IMPRESSION,
        outcome_key=IMPRESSION,
        classification="neutral",
        direction="outbound",
        offer_id=item.offer_id,
        creative_id=item.creative_id,
        channel_id=item.channel_id,
        placement_id=item.placement_id,
        recommendation_id=decided.decision_id,
        rank=item.rank,
        score=item.score,
    )


def _summary(row: InteractionRow, day: str) -> SummaryRow:
    return SummaryRow(
        day=day,
        offer_id=row.offer_id,
        creative_id=row.creative_id,
        channel_id=row.channel_id,
        impressions=1,
        last_contact_ms=row.occurred_at_ms,
        outcome_key=IMPRESSION,
        direction="outbound",
    )


def _decision_made(
    decided: DecidedCustomer, snapshot: TenantSnapshot, live: LiveFlow, answer: Recommendation, at: datetime
) -> EventRow:
    top = answer.decisions[0] if answer.decisions else None
    payload = {
        "tenantId": snapshot.configuration.tenant_id,
        "customerId": decided.customer_id,
        "recommendationId": decided.recommendation_id,
        "offersReturned": answer.count,
        "topOfferId": top.offer_id if top else None,
        "topPropensity": top.propensity if top else None,
        "decisionFlowKey": live.published.key,
        "timestamp": at,
        "decisions": [
            {
                "offerId": item.offer_id,
                "creativeId": item.creative_id,
                "rank": item.rank,
                "score": item.score,
                "selectionProbability": item.selection_probability,
            }
            for item in answer.decisions
        ],
        "snapshotVersion": snapshot.version,
    }
    return EventRow(id=decided.ids[1], type=DECISION_MADE, payload=_encode(payload))


def _impression_recorded(
    tenant_id: str, decided: DecidedCustomer, row: InteractionRow, at: datetime, offset: int
) -> EventRow:
    payload = interaction_payload(tenant_id, decided.customer_id, row, at, decided.recommendation_id)
    return EventRow(id=row.id, type=INTERACTION_RECORDED, payload=_encode(payload), sequence_offset=offset)


def interaction_payload(
    tenant_id: str, customer_id: str, row: InteractionRow, at: datetime, recommendation_id: str | None
) -> dict[str, Any]:
    """Return the payload of `interaction.recorded.v1` but for its sequence, which the commit draws."""
    return {
        "tenantId": tenant_id,
        "customerId": customer_id,
        "offerId": row.offer_id,
        "creativeId": row.creative_id,
        "channelId": row.channel_id,
        "interactionType": row.outcome_key,
        "outcomeTypeKey": row.outcome_key,
        "campaignId": None,
        "recommendationId": recommendation_id,
        "timestamp": at,
        "interactionId": row.id,
        "rank": row.rank,
        "classification": row.classification,
        "direction": row.direction,
        "conversionValue": row.conversion_value,
    }


def _is_traced(snapshot: TenantSnapshot, decided: DecidedCustomer) -> bool:
    """Sample by the random part of the decision's id: no second draw, and the same answer for the same decision."""
    settings = snapshot.settings
    draw = int(decided.decision_id[-8:], 16) / 0x1_0000_0000
    return settings.decision_trace_enabled and draw < settings.decision_trace_sample_rate


def _trace(snapshot: TenantSnapshot, live: LiveFlow, decided: DecidedCustomer) -> TraceRow:
    return TraceRow(
        legend_hash=live.legend_hash,
        snapshot_hash=snapshot.hash,
        content=live.traces.encode(_trace_content(snapshot, live, decided)),
    )


def _trace_content(snapshot: TenantSnapshot, live: LiveFlow, decided: DecidedCustomer) -> TraceContent:
    decisions, index = decided.decisions, decided.index
    reasons = decisions.reasons[index]
    scored = is_scored(live.compiled.spans, reasons)
    return TraceContent(
        engine_version=kaireon_core.__version__,
        snapshot_hash=snapshot.hash,
        reasons=reasons.tobytes(),
        scores=_column(decisions.score, index, scored) if decisions.propensity is None else None,
        propensities=_column(decisions.propensity, index, scored),
        fits=_column(decisions.fit, index, scored),
        bare=None if decisions.bare is None else decisions.bare.tobytes(),
        picks=decided.picks,
        is_degraded=decisions.is_degraded,
        request={
            "nowMs": decided.request.now_ms,
            "limit": decided.request.limit,
            "excludeOffers": sorted(decided.request.excluded_offers),
            "excludeCreatives": sorted(decided.request.excluded_creatives),
            **decided.facts.request,
        },
        facts={
            "customer": decided.facts.customer,
            "attributes": decided.facts.attributes,
            "context": decided.facts.context,
            "segments": sorted(decided.segments),
            "contacts": decided.record.history.recent,
            "contactTotals": decided.record.history.totals,
        },
        duration_ms=decided.duration_ms,
        durations_ms=decisions.stages_ms,
    )


@overload
def _column(values: Floats, customer: int, scored: Mask) -> bytes: ...
@overload
def _column(values: Floats | None, customer: int, scored: Mask) -> bytes | None: ...
def _column(values: Floats | None, customer: int, scored: Mask) -> bytes | None:
    """Return one customer's values for the scored candidates, also where all customers or candidates share them."""
    if values is None:
        return None
    row = _row(values, customer)
    return (row[scored] if len(row) == len(scored) else np.repeat(row, scored.sum())).tobytes()
