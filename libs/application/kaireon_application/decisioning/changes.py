"""What a decision or a response writes: plain rows, committed in one transaction or not at all."""

from __future__ import annotations

import msgspec


class InteractionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the interaction history; `kind` is impression or outcome; instants in ms."""

    id: str
    occurred_at_ms: int
    kind: str
    outcome_key: str | None = None
    classification: str | None = None
    direction: str | None = None
    offer_id: str | None = None
    creative_id: str | None = None
    channel_id: str | None = None
    placement_id: str | None = None
    recommendation_id: str | None = None
    rank: int | None = None
    score: float | None = None
    conversion_value: float | None = None
    details: bytes | None = None


class SummaryRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one interaction adds to the summaries of (customer, offer, creative, channel); `day` is the tenant's."""

    day: str
    offer_id: str | None
    creative_id: str | None
    channel_id: str | None
    impressions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    converts: int = 0
    value: float = 0.0
    last_contact_ms: int | None = None
    outcome_key: str
    direction: str


class TallyRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an interaction adds to a count over all customers; with a `maximum` it is refused beyond that."""

    kind: str
    subject_id: str
    period: str
    amount: int
    maximum: int | None = None


class AssignmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """Which variant of an experiment decides for the customer from now on, and until when."""

    experiment_key: str
    variant: str
    expires_at_ms: int


class EvidenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """An answer for or against an offer on a channel."""

    offer_id: str
    channel_id: str | None
    positive: int
    negative: int


class LessonRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a response adds to the two sums that a model keeps of a subject, in its present generation."""

    model_id: str
    generation: int
    subject: str
    first: float
    second: float


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A step of gradient descent that a model's weights take, and the state (both JSON) in which they begin."""

    model_id: str
    generation: int
    beginning: bytes
    step: bytes


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An outbox event; `payload` is JSON. `sequence_offset` n asks for the customer's n-th new sequence number."""

    id: str
    type: str
    payload: bytes
    sequence_offset: int | None = None
    # The trace that it belongs to.
    traceparent: str | None = None


class RecommendedItems(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision recommends, by rank."""

    offer_ids: list[str] = []
    creative_ids: list[str | None] = []
    channel_ids: list[str | None] = []
    placement_ids: list[str | None] = []
    scores: list[float] = []


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """How a decision came about; see `kaireon_application.decisioning.trace` for what `content` holds."""

    legend_hash: bytes
    snapshot_hash: bytes
    content: bytes


class SuppressionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dated ban that an interaction brought about."""

    policy_id: str
    scope: str
    scope_id: str
    policy_type: str
    reason: str
    expires_at_ms: int


class IdempotencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """The first answer (JSON) under an idempotency key, and the hash of the body that asked for it."""

    key: str
    body_hash: bytes
    answer: bytes


class DecisionChange(msgspec.Struct, frozen=True, kw_only=True):
    """What one decision writes, if the customer is still at `expected_version` (0: never seen).

    Its impressions are of this decision and its instant, and `details` (JSON) is theirs too.
    """

    tenant_id: str
    customer_id: str
    expected_version: int
    decision_id: str
    decided_at_ms: int
    flow_id: str
    flow_version: int
    recommended: RecommendedItems
    details: bytes | None = None
    impressions: list[InteractionRow]
    summaries: list[SummaryRow]
    events: list[EventRow]
    trace: TraceRow | None
    suppressions: list[SuppressionRow] = []
    tallies: list[TallyRow] = []
    # For whom the flow decided: see `experimentation.variant`.
    experiment_key: str | None = None
    variant: str | None = None
    assignment: AssignmentRow | None = None
    # What models learn from, as JSON; see `learning.decision_features`.
    features: bytes | None = None
    idempotency: IdempotencyRow | None = None


class FactRow(msgspec.Struct, frozen=True, kw_only=True):
    """The job that reacts to a fact, with its payload (JSON)."""

    id: str
    payload: bytes


class ResponseChange(msgspec.Struct, frozen=True, kw_only=True):
    """What one response writes, unless its idempotency key was used before."""

    tenant_id: str
    customer_id: str
    idempotency: IdempotencyRow
    interaction: InteractionRow
    summary: SummaryRow
    event: EventRow
    suppressions: list[SuppressionRow]
    tallies: list[TallyRow] = []
    evidence: list[EvidenceRow] = []
    lessons: list[LessonRow] = []
    steps: list[StepRow] = []
    # Where a trigger or journey waits for responses.
    facts: list[FactRow] = []
