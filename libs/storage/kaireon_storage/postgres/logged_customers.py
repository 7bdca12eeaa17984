"""Customers in uploaded decision logs, whose rows lie compressed in parts: each part is opened and looked through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.learning.decision_log import LogSummary, read_part, summary_of
from kaireon_application.learning.logged_customers import logged_rows, without_customers
from kaireon_storage.postgres.database import Connection
from kaireon_storage.postgres.queries import queries

# A part may be some megabytes: few are read ahead.
_PARTS_AHEAD = 4


class LoggedCustomers:
    """Reads and erases rows of logs inside one transaction of a tenant."""

    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        """Take a connection that is inside a transaction."""
        self._connection = connection
        self._tenant_id = tenant_id
        self._sql: Any = queries("off_policy")

    async def rows(self, customers: Collection[str]) -> AsyncGenerator[dict[str, Any]]:
        """Yield the rows of these customers, each with the log that it stands in."""
        async for part in self._parts():
            for row in await asyncio.to_thread(logged_rows, part["content"], customers):
                yield {"logId": str(part["log_id"]), "row": row}

    async def erase(self, customers: Collection[str]) -> int:
        """Take the rows of these customers out of every log, and return how many; a log of no others goes."""
        total, changed = 0, dict[UUID, None]()
        async for part in self._parts():
            content, count = await asyncio.to_thread(without_customers, part["content"], customers)
            if not count:
                continue
            total += count
            changed[part["log_id"]] = None
            named = {"tenant_id": self._tenant_id, "log_id": part["log_id"], "number": part["number"]}
            if content is None:
                await self._sql.delete_log_part(self._connection, **named)
            else:
                await self._sql.replace_log_part(self._connection, **named, content=content)
        for log_id in changed:
            await self._describe(log_id)
        return total

    async def _parts(self) -> AsyncGenerator[dict[str, Any]]:
        statement = self._sql.parts_of_all_logs.sql
        async with self._connection.cursor(name="logged") as cursor:
            cursor.itersize = _PARTS_AHEAD
            await cursor.execute(statement, {"tenant_id": self._tenant_id})
            async for part in cursor:
                yield part

    async def _describe(self, log_id: UUID) -> None:
        """Say anew what a log is about, of which rows are gone."""
        named = {"tenant_id": self._tenant_id, "id": log_id}
        row = await self._sql.get_log(self._connection, **named)
        rows = self._sql.log_parts(self._connection, tenant_id=self._tenant_id, log_id=log_id)
        parts = [one["content"] async for one in rows]
        if parts and row is not None:
            before = msgspec.convert(row["summary"], LogSummary)
            summary = await asyncio.to_thread(_summary, before, parts)
            await self._sql.replace_summary(self._connection, **named, summary=Jsonb(msgspec.to_builtins(summary)))
        else:
            await self._sql.delete_log(self._connection, **named)


def _summary(before: LogSummary, parts: list[bytes]) -> LogSummary:
    return summary_of(before.id, [read_part(part) for part in parts], before.created_at)
