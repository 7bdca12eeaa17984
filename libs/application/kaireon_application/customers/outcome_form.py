"""What /respond, /capture and /respond/bulk read and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from kaireon_core.problems import Problem

CustomerId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Reference: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
OutcomeKey: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
IdempotencyKey: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Direction: TypeAlias = Literal["inbound", "outbound"]
# Far above any order, and far below where sums of doubles overflow or lose their cents.
ConversionValue: TypeAlias = Annotated[float, Meta(ge=-1e12, le=1e12)]


class OutcomeForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a customer did: with the offer at a rank of a recommendation, or with a creative.

    `timestamp` is an ISO 8601 instant, now when absent; `conversion_value` is in the tenant's currency.
    """

    customer_id: CustomerId
    recommendation_id: Reference | None = None
    rank: Annotated[int, Meta(ge=1)] | None = None
    outcome: OutcomeKey | None = None
    interaction_type: OutcomeKey | None = None
    event_type: OutcomeKey | None = None
    creative_id: Reference | None = None
    treatment_id: Reference | None = None
    offer_id: Reference | None = None
    channel_id: Reference | None = None
    placement_id: Reference | None = None
    interaction_id: Reference | None = None
    idempotency_key: IdempotencyKey | None = None
    direction: Direction | None = None
    context: dict[str, Any] | None = None
    outcome_details: dict[str, Any] | None = None
    attributes: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    timestamp: Annotated[str, Meta(max_length=64)] | None = None
    conversion_value: ConversionValue | None = None

    @property
    def outcome_key(self) -> str | None:
        """The outcome, under its name or one of its older ones."""
        return self.outcome or self.interaction_type or self.event_type

    @property
    def creative(self) -> str | None:
        """The creative, under its name or its older one."""
        return self.creative_id or self.treatment_id


class BulkForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Up to 1,000 outcomes; one without an idempotency key is recorded each time it is sent."""

    outcomes: Annotated[list[OutcomeForm], Meta(min_length=1, max_length=1000)]

    def problems(self) -> list[Problem]:
        """Return where an outcome does not say what happened, or to what."""
        return [
            Problem(path=f"$.outcomes[{index}].{field}", message=f"{field} is required")
            for index, form in enumerate(self.outcomes)
            for field, is_given in (
                ("outcome", form.outcome_key is not None),
                ("offerId", (form.offer_id or form.creative or form.recommendation_id) is not None),
            )
            if not is_given
        ]


class OutcomeAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was recorded."""

    interaction_id: str
    recommendation_id: str | None
    customer_id: str
    outcome: str
    classification: Literal["positive", "negative", "neutral"]
    rank: int | None
    offer_name: str | None
    creative_name: str | None
    channel_name: str | None
    category_name: str | None
    status: Literal["recorded"] = "recorded"
    timestamp: datetime


class BulkResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one outcome."""

    index: int
    status: Literal["recorded", "replayed", "failed"]
    interaction_id: str | None = None


class BulkError(msgspec.Struct, frozen=True, kw_only=True):
    """Why one outcome was not recorded."""

    index: int
    error: str
    code: str


class BulkAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of all of them."""

    processed: int
    succeeded: int
    failed: int
    results: list[BulkResult]
    errors: list[BulkError]
