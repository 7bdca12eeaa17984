"""What a decision leaves behind: its row, impressions, summaries and events, in one change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from kaireon_application.customers.suppression import suppressions_after
from kaireon_application.customers.tallies import reserved_tallies
from kaireon_application.decisioning.changes import (
    DecisionChange,
    EventRow,
    IdempotencyRow,
    InteractionRow,
    RecommendedItems,
    SummaryRow,
)
from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_application.decisioning.facts import ContactRow
from kaireon_application.decisioning.record_trace import trace_of
from kaireon_application.decisioning.snapshot import LiveFlow, TenantSnapshot
from kaireon_application.decisioning.wire import DecisionItem, Recommendation
from kaireon_application.learning.decision_features import features_of
from kaireon_application.platform.event_schemas import DECISION_MADE, INTERACTION_RECORDED
from kaireon_application.platform.identity import new_ids

IMPRESSION = "impression"
_encode = msgspec.json.Encoder().encode


class IdempotencyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The idempotency key of a request and the hash of its body."""

    key: str
    body_hash: bytes


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
    impressions = _impressions(live, decided, answer)
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
        summaries=_summaries(impressions, at, snapshot),
        events=events,
        trace=trace_of(snapshot, live, decided),
        suppressions=suppressions_after(impressions, snapshot),
        tallies=reserved_tallies(impressions, snapshot),
        experiment_key=decided.variant.experiment_key,
        variant=decided.variant.name,
        assignment=decided.assignment,
        features=_features(snapshot, live, decided),
        idempotency=None
        if idempotency is None
        else IdempotencyRow(key=idempotency.key, body_hash=idempotency.body_hash, answer=_encode(answer)),
    )
    contacts: list[ContactRow] = [(row.offer_id, row.creative_id, row.channel_id, now_ms, 1) for row in impressions]
    return change, contacts


def _features(snapshot: TenantSnapshot, live: LiveFlow, decided: DecidedCustomer) -> bytes | None:
    return features_of(snapshot.learned_fields, decided.facts, live.compiled.candidates, decided.picks, decided.bare)


def _recommended(items: Sequence[DecisionItem]) -> RecommendedItems:
    return RecommendedItems(
        offer_ids=[item.offer_id for item in items],
        creative_ids=[item.creative_id for item in items],
        channel_ids=[item.channel_id for item in items],
        placement_ids=[item.placement_id for item in items],
        scores=[item.score for item in items],
    )


def _impressions(live: LiveFlow, decided: DecidedCustomer, answer: Recommendation) -> list[InteractionRow]:
    """Return a row for each offer on a channel that counts what it is given as shown; its event will have its id."""
    if not live.items.may_be_implicit:
        return []
    shown = [
        item
        for item, candidate, is_bare in zip(answer.decisions, decided.picks, decided.bare, strict=True)
        if live.items.is_implicit(candidate, is_bare=is_bare)
    ]
    ids = new_ids(decided.request.now_ms, len(shown))
    return [_impression(id_, decided, item) for id_, item in zip(ids, shown, strict=True)]


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


def _summaries(impressions: Sequence[InteractionRow], at: datetime, snapshot: TenantSnapshot) -> list[SummaryRow]:
    if not impressions:
        return []
    day = at.astimezone(snapshot.zone).date().isoformat()
    # What stands in several placements of one answer is one row of the summaries.
    shown = Counter((row.offer_id, row.creative_id, row.channel_id) for row in impressions)
    last = {(row.offer_id, row.creative_id, row.channel_id): row for row in impressions}
    return [_summary(last[place], day, times) for place, times in shown.items()]


def _summary(row: InteractionRow, day: str, times: int) -> SummaryRow:
    return SummaryRow(
        day=day,
        offer_id=row.offer_id,
        creative_id=row.creative_id,
        channel_id=row.channel_id,
        impressions=times,
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
