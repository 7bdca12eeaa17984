"""Decision traces and their legends in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.decisioning.explain_trace import StoredTrace, TracePage, TraceQuery
from kaireon_application.decisioning.snapshot import Legend, decode_legend
from kaireon_application.decisioning.trace import TraceCodec
from kaireon_application.platform.identity import instant_of
from kaireon_storage.postgres.database import Connection, Database, Row
from kaireon_storage.postgres.queries import queries


class PostgresTraces:
    """Implements `Traces`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("history")

    async def is_erased(self, tenant_id: UUID, decision_id: UUID) -> bool:
        """Return whether there was such a decision that was erased."""
        async with self._database.transaction(tenant_id) as connection:
            row = await queries("customer_data").is_erased(connection, tenant_id=tenant_id, id=decision_id)
        return row is not None

    async def page(self, tenant_id: UUID, query: TraceQuery) -> TracePage:
        """Return one page of traces, newest first."""
        id_ = query.recommendation_id
        chosen = {
            "tenant_id": tenant_id,
            "customer_id": query.customer_id,
            "recommendation_id": id_,
            # The id carries the instant: only one partition has to be looked into.
            "decided_at_ms": instant_of(str(id_)) if id_ else None,
        }
        after = query.after
        async with self._database.transaction(tenant_id) as connection:
            found = self._sql.page_traces(
                connection,
                **chosen,
                after_at=after.at if after else None,
                after_id=after.id if after else None,
                limit=query.limit + 1,
                offset=query.offset,
            )
            rows = [row async for row in found]
            counted = await self._sql.count_traces(connection, **chosen)
            shown, has_more = rows[: query.limit], len(rows) > query.limit
            traces = await read_traces(connection, tenant_id, shown)
        last = ListPosition(rank=0, at=shown[-1]["decided_at"], id=shown[-1]["recommendation_id"]) if has_more else None
        return TracePage(traces=traces, total=counted["total"], next_position=last)

    async def recent(
        self, tenant_id: UUID, since: datetime, after: ListPosition | None, limit: int
    ) -> list[StoredTrace]:
        """Return traces from an instant on, newest first, from the one behind `after` on."""
        async with self._database.transaction(tenant_id) as connection:
            found = self._sql.recent_traces(
                connection,
                tenant_id=tenant_id,
                since=since,
                after_at=after.at if after else None,
                after_id=after.id if after else None,
                limit=limit,
            )
            rows = [row async for row in found]
            return await read_traces(connection, tenant_id, rows)


async def read_traces(connection: Connection, tenant_id: UUID, rows: Sequence[Row]) -> list[StoredTrace]:
    """Return the traces of these rows; a legend is read once for all of them."""
    legends = dict[bytes, Legend]()
    for row in rows:
        hash_ = row["legend_hash"]
        if hash_ not in legends:
            stored = await queries("history").get_snapshot(connection, tenant_id=tenant_id, hash=hash_)
            assert stored is not None, hash_  # noqa: S101 - legends are stored before traces refer to them
            legends[hash_] = decode_legend(stored["content"])
    codecs = {hash_: legend.codec() for hash_, legend in legends.items()}
    return [_trace(row, legends[row["legend_hash"]], codecs[row["legend_hash"]]) for row in rows]


def _trace(row: Row, legend: Legend, codec: TraceCodec) -> StoredTrace:
    return StoredTrace(
        recommendation_id=row["recommendation_id"],
        decided_at=row["decided_at"],
        customer_id=row["customer_id"],
        flow_id=row["flow_id"],
        flow_key=row["flow_key"],
        flow_version=row["flow_version"],
        content=codec.decode(row["content"]),
        legend=legend,
    )
