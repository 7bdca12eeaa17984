"""Reading what was shown to customers and what they did: interactions, summaries, suppressions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import ListPosition


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which interactions to list, newest first; `type` is `recommendation` or an outcome key."""

    limit: int
    after: ListPosition | None = None
    customer_id: str | None = None
    offer_id: UUID | None = None
    creative_id: UUID | None = None
    recommendation_id: UUID | None = None
    type: str | None = None
    since: datetime | None = None


class NamedThing(msgspec.Struct, frozen=True, kw_only=True):
    """An offer or creative that an interaction refers to; name and status are null once it is gone."""

    id: UUID
    name: str | None
    status: str | None


class Interaction(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One row of the history; `event_id` is the id of its event on the stream, null for recommendation rows."""

    id: UUID
    tenant_id: UUID
    customer_id: str
    interaction_type: str
    outcome_type_key: str | None
    classification: str | None
    direction: str | None
    offer_id: UUID | None
    creative_id: UUID | None
    channel_id: UUID | None
    placement_id: UUID | None
    recommendation_id: str | None
    rank: int | None
    score: float | None
    conversion_value: float | None
    timestamp: datetime
    event_id: UUID | None
    context: dict[str, Any] | None
    outcome_details: dict[str, Any] | None
    offer: NamedThing | None
    creative: NamedThing | None


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page; `next_position` is None on the last one."""

    interactions: list[Interaction]
    total: int
    next_position: ListPosition | None


class SummaryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which summary rows of a customer to list."""

    customer_id: str
    limit: int
    offset: int = 0
    period_type: str | None = None
    offer_id: UUID | None = None
    channel_id: UUID | None = None


class InteractionSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened with one offer, creative and channel in one period; `alltime` has the period key `alltime`."""

    period_type: str
    period_key: str
    customer_id: str
    offer_id: UUID | None
    creative_id: UUID | None
    channel_id: UUID | None
    impressions: int
    positive: int
    negative: int
    neutral: int
    converts: int
    total_value: float
    last_contact_at: datetime | None
    last_outcome_key: str | None
    direction: str | None


class Suppression(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A dated ban; `scope_id` is `all` for global ones. It is active until its time or its policy ends."""

    id: str
    policy_id: UUID
    scope: str
    scope_id: str
    offer_name: str | None
    policy_type: str
    reason: str
    trigger_count: int
    expires_at: datetime
    created_at: datetime
    is_active: bool


class History(Protocol):
    """Reads the history of one tenant's customers. Every method raises `Unavailable` while Postgres is away."""

    async def interactions(self, tenant_id: UUID, query: HistoryQuery) -> HistoryPage:
        """Return one page of interactions, newest first."""
        ...

    async def summaries(self, tenant_id: UUID, query: SummaryQuery) -> tuple[Sequence[InteractionSummary], int]:
        """Return one page of a customer's summaries and the total, by period type, newest period first."""
        ...

    async def suppressions(self, tenant_id: UUID, customer_id: str, now: datetime) -> Sequence[Suppression]:
        """Return every ban of a customer, the latest to end first; whatever has become of its policy."""
        ...
