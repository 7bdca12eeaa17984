"""Recording what a customer did: interaction, summary, suppressions and event in one transaction, once per key."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from kaireon_application.customers.happened_at import happened_at_ms
from kaireon_application.customers.outcome_form import OutcomeAnswer, OutcomeForm
from kaireon_application.customers.outcome_target import Recommended, Target, resolve_target
from kaireon_application.customers.suppression import suppressions_after
from kaireon_application.customers.tallies import evidence_of, recorded_tallies
from kaireon_application.decisioning.changes import (
    EventRow,
    FactRow,
    IdempotencyRow,
    InteractionRow,
    ResponseChange,
    SummaryRow,
)
from kaireon_application.decisioning.decided_customer import PUBLIC_PREFIX
from kaireon_application.decisioning.facts import FactCache, history_key
from kaireon_application.decisioning.record_decision import IMPRESSION, interaction_payload
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.engagement.behavioral_event import OUTCOME_RECORDED
from kaireon_application.engagement.fact import Fact, FactsPayload
from kaireon_application.errors import IdempotencyMismatch, InvalidInput, NotFound
from kaireon_application.learning.lessons import lessons_of, steps_of
from kaireon_application.platform.event_schemas import INTERACTION_RECORDED
from kaireon_application.platform.identity import new_ids
from kaireon_core.catalog.document import Document
from kaireon_runtime.catalogue import RESPONSES
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.origin import origin

_CONVERT = "convert"


class OutcomeStore(Protocol):
    """What recording reads. Every method raises `Unavailable` while Postgres cannot be reached."""

    async def answer_under(self, tenant_id: str, key: str) -> tuple[bytes, bytes] | None:
        """Return (body hash, answer as JSON) of the first use of an idempotency key, None before it."""
        ...

    async def recommended(self, tenant_id: str, customer_id: str, decision_id: str, rank: int) -> Recommended | None:
        """Return what was recommended to this customer at a rank of a decision."""
        ...


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The answer as JSON; `is_replay` when the key had been used for the same body before."""

    answer: bytes
    is_replay: bool

    def decoded(self) -> OutcomeAnswer:
        """Return the answer as a value."""
        return msgspec.json.decode(self.answer, type=OutcomeAnswer)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOutcome:
    """The use case; one per process."""

    snapshots: Snapshots
    store: OutcomeStore
    # Commits in one transaction; False, having written nothing, when the idempotency key was used before.
    commit: Callable[[ResponseChange], Awaitable[bool]]
    cache: FactCache
    metrics: Metrics
    now_ms: Callable[[], int]

    async def __call__(self, tenant_id: str, form: OutcomeForm, key: str) -> Recorded:
        """Return the answer, once everything about it is durable.

        Raises `InvalidInput`, `NotFound` for what the form names, `IdempotencyMismatch` for a key used with another
        body, `IdempotencyInProgress` when its first use takes too long.
        """
        body_hash = hash_of(form)
        try:
            change, answer = await self._change(tenant_id, form, key, body_hash)
        except (InvalidInput, NotFound):
            # What the first use of the key named may be gone by now, or too old; its answer stands.
            stored = await self.store.answer_under(tenant_id, key)
            if stored is None or stored[0] != body_hash:
                raise
            return Recorded(answer=stored[1], is_replay=True)
        if not await self.commit(change):
            return await self._replay(tenant_id, key, body_hash)
        await self.cache.forget([history_key(tenant_id, form.customer_id)])
        self.metrics.add(RESPONSES, answer.outcome, answer.classification)
        return Recorded(answer=change.idempotency.answer, is_replay=False)

    async def _replay(self, tenant_id: str, key: str, body_hash: bytes) -> Recorded:
        stored = await self.store.answer_under(tenant_id, key)
        assert stored is not None, key  # noqa: S101 - the commit has just found the key
        if stored[0] != body_hash:
            raise IdempotencyMismatch
        return Recorded(answer=stored[1], is_replay=True)

    async def _change(
        self, tenant_id: str, form: OutcomeForm, key: str, body_hash: bytes
    ) -> tuple[ResponseChange, OutcomeAnswer]:
        snapshot = await self.snapshots.current(tenant_id)
        now_ms = self.now_ms()
        outcome = _outcome_type(snapshot, form)
        at_ms = happened_at_ms(form.timestamp, now_ms, snapshot.settings.retention_days)
        target = await resolve_target(self.store.recommended, snapshot, tenant_id, form, now_ms)
        row = _interaction(form, outcome, target, new_ids(now_ms, 1)[0], at_ms)
        answer = _answer(form, outcome, target, row)
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        recommendation_id = PUBLIC_PREFIX + target.decision_id if target.decision_id else None
        payload = interaction_payload(tenant_id, form.customer_id, row, at, recommendation_id)
        change = ResponseChange(
            tenant_id=tenant_id,
            customer_id=form.customer_id,
            idempotency=IdempotencyRow(key=key, body_hash=body_hash, answer=msgspec.json.encode(answer)),
            interaction=row,
            summary=_summary(row, outcome, at.astimezone(snapshot.zone).date().isoformat()),
            event=EventRow(
                id=row.id,
                type=INTERACTION_RECORDED,
                payload=msgspec.json.encode(payload),
                traceparent=origin().traceparent,
            ),
            suppressions=suppressions_after([row], snapshot),
            tallies=recorded_tallies(row, snapshot),
            evidence=evidence_of(row),
            lessons=lessons_of(row, target.features, snapshot.configuration.learners),
            facts=_facts(snapshot, form.customer_id, row, answer),
            steps=steps_of(row, target.features, snapshot.configuration.learners),
        )
        return change, answer


def _facts(snapshot: TenantSnapshot, customer_id: str, row: InteractionRow, answer: OutcomeAnswer) -> list[FactRow]:
    """Return the job that tells triggers and journeys of the response, where one of them waits for that."""
    if not snapshot.configuration.listeners.hears(OUTCOME_RECORDED):
        return []
    told = {
        "outcome": row.outcome_key,
        "classification": row.classification,
        "direction": row.direction,
        "offerId": row.offer_id,
        "creativeId": row.creative_id,
        "channelId": row.channel_id,
        "placementId": row.placement_id,
        "recommendationId": answer.recommendation_id,
        "rank": row.rank,
        "conversionValue": row.conversion_value,
        "interactionId": row.id,
    }
    fact = Fact(id=row.id, customer_id=customer_id, at_ms=row.occurred_at_ms, properties=told)
    payload = msgspec.json.encode(FactsPayload(type=OUTCOME_RECORDED, facts=[fact]))
    return [FactRow(id=new_ids(row.occurred_at_ms, 1)[0], payload=payload)]


def hash_of(form: OutcomeForm) -> bytes:
    """Return the hash of what the form says, but for its idempotency key."""
    body = msgspec.to_builtins(form)
    body.pop("idempotencyKey", None)
    return hashlib.sha256(msgspec.json.encode(body, order="deterministic")).digest()


def _outcome_type(snapshot: TenantSnapshot, form: OutcomeForm) -> Document:
    if form.outcome_key is None:
        raise InvalidInput.at("$.outcome", "is required")
    found = snapshot.outcome_types.get(form.outcome_key)
    if found is None or found.status != "active":
        known = ", ".join(sorted(key for key, one in snapshot.outcome_types.items() if one.status == "active"))
        raise InvalidInput.at("$.outcome", f"unknown outcome '{form.outcome_key}'; use one of: {known}")
    return found


def _interaction(form: OutcomeForm, outcome: Document, target: Target, id_: str, at_ms: int) -> InteractionRow:
    is_shown = outcome.body.get("category") == IMPRESSION
    details = {
        name: value
        for name, value in (
            ("context", form.context),
            ("outcomeDetails", form.outcome_details),
            ("attributes", form.attributes),
            ("metadata", form.metadata),
        )
        if value is not None
    }
    return InteractionRow(
        id=id_,
        occurred_at_ms=at_ms,
        kind=IMPRESSION if outcome.key == IMPRESSION else "outcome",
        outcome_key=outcome.key,
        classification=str(outcome.body["classification"]),
        direction=form.direction or ("outbound" if is_shown else "inbound"),
        offer_id=target.offer_id,
        creative_id=target.creative_id,
        channel_id=target.channel_id,
        placement_id=target.placement_id,
        recommendation_id=target.decision_id,
        rank=target.rank,
        conversion_value=form.conversion_value,
        details=msgspec.json.encode(details) if details else None,
    )


def _summary(row: InteractionRow, outcome: Document, day: str) -> SummaryRow:
    is_impression = row.kind == IMPRESSION
    return SummaryRow(
        day=day,
        offer_id=row.offer_id,
        creative_id=row.creative_id,
        channel_id=row.channel_id,
        impressions=int(is_impression),
        positive=int(row.classification == "positive"),
        negative=int(row.classification == "negative"),
        neutral=int(row.classification == "neutral" and not is_impression),
        converts=int(outcome.key == _CONVERT),
        value=row.conversion_value or 0.0,
        last_contact_ms=row.occurred_at_ms if is_impression else None,
        outcome_key=outcome.key,
        direction=row.direction or "inbound",
    )


def _answer(form: OutcomeForm, outcome: Document, target: Target, row: InteractionRow) -> OutcomeAnswer:
    return OutcomeAnswer(
        interaction_id=row.id,
        recommendation_id=PUBLIC_PREFIX + target.decision_id if target.decision_id else None,
        customer_id=form.customer_id,
        outcome=outcome.key,
        classification=outcome.body["classification"],
        rank=target.rank,
        offer_name=target.offer_name,
        creative_name=target.creative_name,
        channel_name=target.channel_name,
        category_name=target.category_name,
        timestamp=datetime.fromtimestamp(row.occurred_at_ms / 1000, UTC),
    )
