"""Cassandra, Scylla and Keyspaces: one row for each interaction, its partition the customer."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any
from uuid import UUID

from kaireon_application.customers.interaction_store import ExportPage, InteractionRecord, StoreMissing
from kaireon_application.errors import InvalidInput
from kaireon_runtime.store_settings import CqlStore
from kaireon_storage.interactions.cql_session import CqlSession
from kaireon_storage.interactions.ddl import CQL_TABLE, cql_script
from kaireon_storage.interactions.details import packed_details, unpacked_details
from kaireon_storage.interactions.partitioned import (
    Span,
    expiry_seconds,
    instant_of_microseconds,
    microseconds_of,
)

# Keyspaces takes rows of 1 MB, and Cassandra mutations of half a commit log segment.
_DETAILS_BYTES = 900_000
_AT_ONCE = 64
_KEY_ROWS = 1_000
_FIRST, _LAST = -(2**62), 2**62
_COLUMNS = (
    *("tenant_id", "customer_id", "occurred_us", "id", "kind", "outcome_key", "classification", "direction"),
    *("offer_id", "creative_id", "channel_id", "placement_id", "recommendation_id", "rank", "score"),
    *("conversion_value", "details"),
)
_SAME = frozenset(_COLUMNS) - {"occurred_us", "id", "details"}


class CqlTable:
    """Implements `InteractionTable`."""

    def __init__(self, settings: CqlStore, timeout_seconds: float) -> None:
        """Describe the table; nothing is connected before the first call."""
        self._settings = settings
        self._session = CqlSession(settings, timeout_seconds)
        name = f"{settings.keyspace}.{CQL_TABLE}"
        columns, marks = ", ".join(_COLUMNS), ", ".join("?" for _ in _COLUMNS)
        customer = "tenant_id = ? AND customer_id = ?"
        # The settings hold the name to letters and digits; everything else here is a constant.
        self._put = f"INSERT INTO {name} ({columns}) VALUES ({marks}) USING TTL ?"  # noqa: S608
        self._scan = f"SELECT {columns} FROM {name}"  # noqa: S608
        self._newest = f"{self._scan} WHERE {customer} AND occurred_us >= ? AND occurred_us <= ?"
        self._keys = f"SELECT occurred_us, id FROM {name} WHERE {customer}"  # noqa: S608
        self._remove = f"DELETE FROM {name} WHERE {customer} AND occurred_us = ? AND id = ?"  # noqa: S608

    async def put(self, records: Sequence[InteractionRecord]) -> None:
        """Insert records, several at once; each is its own partition's affair."""
        now = time.time()
        for group in _groups(records):
            await asyncio.gather(*(self._session.run(self._put, _values(record, now)) for record in group))

    async def newest(
        self, tenant_id: UUID, customer_id: str, span: Span
    ) -> AsyncGenerator[Sequence[InteractionRecord]]:
        """Read the partition in its own order, page by page."""
        low = microseconds_of(span.since) if span.since else _FIRST
        high = microseconds_of(span.until) if span.until else _LAST
        position: bytes | None = None
        while True:
            values = (tenant_id, customer_id, low, high)
            page = await self._session.run(self._newest, values, page_rows=span.page_rows, position=position)
            yield [_record(row) for row in page.rows]
            position = page.position
            if position is None:
                return

    async def remove(self, tenant_id: UUID, customer_id: str) -> int:
        """Delete a customer's rows one by one: how many there were is known then, and Keyspaces bounds ranges."""
        count, position = 0, None
        while True:
            page = await self._session.run(self._keys, (tenant_id, customer_id), page_rows=_KEY_ROWS, position=position)
            for group in _groups(page.rows):
                keys = [(tenant_id, customer_id, row["occurred_us"], row["id"]) for row in group]
                await asyncio.gather(*(self._session.run(self._remove, key) for key in keys))
            count, position = count + len(page.rows), page.position
            if position is None:
                return count

    async def scan(self, cursor: str | None, limit: int) -> ExportPage:
        """Read on through the token ring."""
        page = await self._session.run(self._scan, (), page_rows=limit, position=_position_of(cursor))
        end = None if page.position is None else base64.urlsafe_b64encode(page.position).decode()
        return ExportPage(records=[_record(row) for row in page.rows], cursor=end)

    async def require(self) -> None:
        """Raise `StoreMissing` with the statements that make keyspace and table."""
        missing = await self._session.missing(CQL_TABLE)
        if missing is not None:
            where = f"{self._settings.backend} at {', '.join(self._settings.contact_points)}"
            raise StoreMissing(f"{where} has no {missing}; create it with cqlsh:\n{cql_script(self._settings)}")

    async def close(self) -> None:
        """End the connections."""
        await self._session.close()


def _values(record: InteractionRecord, now: float) -> tuple[Any, ...]:
    expires_at = expiry_seconds(record)
    # No time to live is 0; one that has passed already is a second.
    seconds = 0 if expires_at is None else max(1, int(expires_at - now))
    row = {name: getattr(record, name) for name in _SAME}
    row |= {
        "occurred_us": microseconds_of(record.occurred_at),
        # As text: the order of CQL's own UUIDs is not that of their bytes.
        "id": str(record.id),
        "details": packed_details(record.details, _DETAILS_BYTES),
    }
    return (*(row[name] for name in _COLUMNS), seconds)


def _record(row: dict[str, Any]) -> InteractionRecord:
    return InteractionRecord(
        occurred_at=instant_of_microseconds(row["occurred_us"]),
        id=UUID(row["id"]),
        details=unpacked_details(row["details"]),
        **{name: row[name] for name in _SAME},
    )


def _groups(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE))


def _position_of(cursor: str | None) -> bytes | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput.at("query.cursor", "is not a cursor of this store") from None
