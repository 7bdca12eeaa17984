"""An interaction store over any table whose partition is a (tenant, customer) and whose rows are ordered by instant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.customers.history import HistoryQuery
from kaireon_application.customers.interaction_store import (
    CustomerSummary,
    ExportPage,
    ExportWindow,
    InteractionRecord,
    is_asked_for,
    summary_of,
)
from kaireon_application.errors import Unavailable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What a filter lets through is not known before it is read.
_FILTERED_ROWS = 500


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a customer's rows to read: from `since` on, and not after `until`; `page_rows` at a time."""

    since: datetime | None
    until: datetime | None
    page_rows: int


class InteractionTable(Protocol):
    """A table as its database knows it. Raises `Unavailable`, and `StoreRefusal` for what it can never keep."""

    async def put(self, records: Sequence[InteractionRecord]) -> None:
        """Keep records of different keys; those that are there already are written again."""
        ...

    def newest(self, tenant_id: UUID, customer_id: str, span: Span) -> AsyncGenerator[Sequence[InteractionRecord]]:
        """Yield a customer's rows page by page, newest first."""
        ...

    async def remove(self, tenant_id: UUID, customer_id: str) -> int:
        """Delete a customer's rows; return how many there were."""
        ...

    async def scan(self, cursor: str | None, limit: int) -> ExportPage:
        """Read on through the whole table, in its own order."""
        ...

    async def require(self) -> None:
        """Raise `StoreMissing` when the table is not there."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class PartitionedStore:
    """Implements `InteractionStore`: one partition is read for a customer, filters are applied here."""

    def __init__(self, table: InteractionTable, name: str, *, read_seconds: float = 4.0) -> None:
        """Take a table; a read that takes longer than `read_seconds` is given up."""
        self.table = table
        self._name = name
        self._read_seconds = read_seconds

    async def write(self, records: Sequence[InteractionRecord]) -> None:
        """Keep these records; the same one twice counts once."""
        now = datetime.now(UTC)
        by_key = {
            (record.tenant_id, record.customer_id, *record.moment): record
            for record in records
            if record.retention_days is None or record.occurred_at + timedelta(days=record.retention_days) > now
        }
        await self.table.put(list(by_key.values()))

    async def page(self, tenant_id: UUID, customer_id: str, query: HistoryQuery) -> Sequence[InteractionRecord]:
        """Return the newest of a customer's interactions."""
        after = query.after
        position = None if after is None else (after.at, after.id)
        span = Span(since=query.since, until=position[0] if position else None, page_rows=_page_rows(query))
        found = list[InteractionRecord]()
        async with self._bounded(), aclosing(self.table.newest(tenant_id, customer_id, span)) as pages:
            async for records in pages:
                found += [
                    record
                    for record in records
                    if is_asked_for(record, query) and (position is None or record.moment < position)
                ]
                if len(found) >= query.limit:
                    break
        return found[: query.limit]

    async def summary(self, tenant_id: UUID, customer_id: str, query: HistoryQuery) -> CustomerSummary:
        """Add up a customer's interactions, reading each of them."""
        summary = CustomerSummary()
        span = Span(since=query.since, until=None, page_rows=_FILTERED_ROWS)
        async with self._bounded(), aclosing(self.table.newest(tenant_id, customer_id, span)) as pages:
            async for records in pages:
                summary = summary.plus(summary_of([record for record in records if is_asked_for(record, query)]))
        return summary

    async def delete_customer(self, tenant_id: UUID, customer_id: str) -> int:
        """Delete a customer's partition."""
        return await self.table.remove(tenant_id, customer_id)

    async def export(self, window: ExportWindow, cursor: str | None, limit: int) -> ExportPage:
        """Return what a scan of the table finds of the window: it reads everything."""
        page = await self.table.scan(cursor, limit)
        return ExportPage(records=[one for one in page.records if window.holds(one)], cursor=page.cursor)

    @asynccontextmanager
    async def _bounded(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._read_seconds):
                yield
        except TimeoutError as error:
            raise Unavailable(f"{self._name} takes too long to answer; try again") from error


def _page_rows(query: HistoryQuery) -> int:
    is_filtered = (query.offer_id, query.creative_id, query.recommendation_id, query.type) != (None,) * 4
    return max(query.limit, _FILTERED_ROWS) if is_filtered else query.limit + 1


def microseconds_of(instant: datetime) -> int:
    """Return an instant as µs since 1970, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of_microseconds(microseconds: int) -> datetime:
    """Return the instant of so many µs since 1970."""
    return _EPOCH + microseconds * _MICROSECOND


def expiry_seconds(record: InteractionRecord) -> int | None:
    """Return when a record has had its time, in s since 1970, rounded up; None for never."""
    if record.retention_days is None:
        return None
    return -(-microseconds_of(record.occurred_at) // 1_000_000) + record.retention_days * 86_400
