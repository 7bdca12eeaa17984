"""Interaction stores: where what customers did and were shown can be kept beside Postgres, by (tenant, customer)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.customers.history import HistoryQuery
from kaireon_application.errors import KaireonError

_IMPRESSION = "impression"
_CONVERT = "convert"


class InteractionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One interaction. (tenant, customer, instant, id) is its key: to write it again changes nothing."""

    tenant_id: UUID
    customer_id: str
    occurred_at: datetime
    id: UUID
    kind: str
    outcome_key: str | None = None
    classification: str | None = None
    direction: str | None = None
    offer_id: UUID | None = None
    creative_id: UUID | None = None
    channel_id: UUID | None = None
    placement_id: UUID | None = None
    recommendation_id: UUID | None = None
    rank: int | None = None
    score: float | None = None
    conversion_value: float | None = None
    details: dict[str, Any] | None = None
    retention_days: int | None = None
    """For how long a store keeps it; not part of what a store answers."""

    @property
    def moment(self) -> tuple[datetime, UUID]:
        """What a customer's interactions are ordered by, newest first."""
        return self.occurred_at, self.id


class CustomerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer's interactions add up to; `neutral` leaves impressions out, as the summaries do."""

    count: int = 0
    impressions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    converts: int = 0
    total_value: float = 0.0
    first_at: datetime | None = None
    last_at: datetime | None = None

    def plus(self, other: CustomerSummary) -> CustomerSummary:
        """Return what both add up to."""
        return CustomerSummary(
            count=self.count + other.count,
            impressions=self.impressions + other.impressions,
            positive=self.positive + other.positive,
            negative=self.negative + other.negative,
            neutral=self.neutral + other.neutral,
            converts=self.converts + other.converts,
            total_value=self.total_value + other.total_value,
            first_at=min(filter(None, (self.first_at, other.first_at)), default=None),
            last_at=max(filter(None, (self.last_at, other.last_at)), default=None),
        )


class ExportWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Which interactions to export: of one tenant or of all, from `since` on and before `until`."""

    tenant_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, record: InteractionRecord) -> bool:
        """Whether a record is asked for."""
        return (
            (self.tenant_id is None or record.tenant_id == self.tenant_id)
            and (self.since is None or record.occurred_at >= self.since)
            and (self.until is None or record.occurred_at < self.until)
        )


class ExportPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of an export; it goes on at `cursor`, or is over without one. A page may be empty and not the last."""

    records: Sequence[InteractionRecord]
    cursor: str | None


class StoreRefusal(KaireonError):
    """The interaction store takes no such record."""

    code = "INTERNAL"


class StoreMissing(KaireonError):
    """The table of the interaction store is not there; the message has the command that creates it."""

    code = "NOT_CONFIGURED"


class InteractionStore(Protocol):
    """Keeps interactions. Every method raises `Unavailable` while the store cannot be reached or is too slow."""

    async def write(self, records: Sequence[InteractionRecord]) -> None:
        """Keep these records, each once however often it is written; all are kept when it returns.

        Raises `StoreRefusal` when one of them cannot be kept; then any of the others may be.
        """
        ...

    async def page(self, tenant_id: UUID, customer_id: str, query: HistoryQuery) -> Sequence[InteractionRecord]:
        """Return the newest `limit` of a customer's interactions that the query asks for, newest first."""
        ...

    async def summary(self, tenant_id: UUID, customer_id: str, query: HistoryQuery) -> CustomerSummary:
        """Add up all of a customer's interactions that the query asks for, on whatever page."""
        ...

    async def delete_customer(self, tenant_id: UUID, customer_id: str) -> int:
        """Delete everything about a customer; return how many records went."""
        ...

    async def export(self, window: ExportWindow, cursor: str | None, limit: int) -> ExportPage:
        """Return about `limit` records of the window, in no order that callers may rely on, each on one page only."""
        ...


def is_asked_for(record: InteractionRecord, query: HistoryQuery) -> bool:
    """Whether the query's filters let a record of its customer through; its position is another matter."""
    return (
        (query.offer_id is None or record.offer_id == query.offer_id)
        and (query.creative_id is None or record.creative_id == query.creative_id)
        and (query.recommendation_id is None or record.recommendation_id == query.recommendation_id)
        and (query.type is None or record.outcome_key == query.type)
        and (query.since is None or record.occurred_at >= query.since)
    )


def summary_of(records: Sequence[InteractionRecord]) -> CustomerSummary:
    """Return what these records add up to."""
    instants = [record.occurred_at for record in records]
    shown = [record.kind == _IMPRESSION for record in records]
    classes = [record.classification for record in records]
    return CustomerSummary(
        count=len(records),
        impressions=sum(shown),
        positive=classes.count("positive"),
        negative=classes.count("negative"),
        neutral=sum(one == "neutral" and not is_shown for one, is_shown in zip(classes, shown, strict=True)),
        converts=sum(record.outcome_key == _CONVERT for record in records),
        total_value=sum(record.conversion_value or 0.0 for record in records),
        first_at=min(instants, default=None),
        last_at=max(instants, default=None),
    )
