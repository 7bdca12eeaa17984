"""Stored decisions with the outcomes of what they showed, in Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.learning.evaluated_traces import Answered, AnsweredTrace
from kaireon_application.learning.evaluation_request import TraceRange
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries
from kaireon_storage.postgres.traces import read_traces

_PAGE = 500


class PostgresAnsweredTraces:
    """Implements `AnsweredTraces`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("answered_traces")

    async def count(self, tenant_id: UUID, flow_id: UUID, between: TraceRange) -> int:
        """Return how many decisions of a flow there are that showed anything."""
        async with self._database.transaction(tenant_id) as connection:
            counted = await self._sql.count_between(
                connection, tenant_id=tenant_id, flow_id=flow_id, from_at=between.from_at, to_at=between.to_at
            )
        return counted["total"]

    async def pages(
        self, tenant_id: UUID, flow_id: UUID, between: TraceRange
    ) -> AsyncIterator[Sequence[AnsweredTrace]]:
        """Return them a page at a time, oldest first; each page is a transaction of its own."""
        after: ListPosition | None = None
        while True:
            async with self._database.transaction(tenant_id) as connection:
                found = self._sql.traces_between(
                    connection,
                    tenant_id=tenant_id,
                    flow_id=flow_id,
                    from_at=between.from_at,
                    to_at=between.to_at,
                    after_at=after.at if after else None,
                    after_id=after.id if after else None,
                    limit=_PAGE,
                )
                rows = [row async for row in found]
                traces = await read_traces(connection, tenant_id, rows)
            if rows:
                yield [
                    AnsweredTrace(trace, msgspec.convert(row["answers"], list[Answered]))
                    for row, trace in zip(rows, traces, strict=True)
                ]
            if len(rows) < _PAGE:
                return
            after = ListPosition(rank=0, at=rows[-1]["decided_at"], id=rows[-1]["recommendation_id"])
