"""Dashboards in Postgres, read from a replica where one is near enough."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.decisioning.dashboards import (
    MOST_TRACES,
    DashboardType,
    GroupBy,
    InteractionGroup,
    Span,
    SummaryPage,
    count_drops,
    health_of,
    percentage,
)
from kaireon_application.decisioning.explain_trace import StoredTrace
from kaireon_storage.postgres.queries import queries
from kaireon_storage.postgres.traces import read_traces

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_storage.postgres.database import Connection
    from kaireon_storage.postgres.replicas import ReadDatabase

_MOST_ROWS = 100
# What is not kept as counts is told from the latest rows: scores, customers, and the decisions among which traces are.
_LATEST = {"most_scored": 10_000, "most_interactions": 100_000, "most_decisions": 100_000}
# So many traces are decoded before anybody else has a turn.
_TRACES_AT_ONCE = 50
_OBJECTS = frozenset({DashboardType.SUMMARY, DashboardType.DECISION_HEALTH})
_KINDS = {GroupBy.ACTION: "offer", GroupBy.TREATMENT: "creative", GroupBy.CHANNEL: "channel", GroupBy.CUSTOMER: ""}
_COUNTED = ("impression", "click", "dismiss", "accept", "convert", "total", "positive", "negative", "neutral")


class PostgresDashboards:
    """Implements `Dashboards`."""

    def __init__(self, reads: ReadDatabase) -> None:
        """Read from here."""
        self._reads = reads
        self._sql: Any = queries("dashboards")

    async def data(self, tenant_id: UUID, type_: DashboardType, span: Span) -> dict[str, Any] | list[dict[str, Any]]:
        """Return what a dashboard shows: rows, or one object."""

        async def ask(connection: Connection) -> dict[str, Any] | list[dict[str, Any]]:
            await self._sql.bound_statement(connection)
            if type_ is DashboardType.WHY_NOT_RANKED:
                return count_drops(await _latest(connection, tenant_id, span))[:_MOST_ROWS]
            chosen = _parameters(tenant_id, span)
            if type_ not in _OBJECTS:
                return [row async for row in getattr(self._sql, type_.value)(connection, **chosen)]
            found = await getattr(self._sql, type_.value)(connection, **chosen)
            if type_ is DashboardType.DECISION_HEALTH:
                found |= health_of(await _latest(connection, tenant_id, span))
            return found

        return await self._reads.read(tenant_id, ask)

    async def interactions(self, tenant_id: UUID, page: SummaryPage) -> tuple[list[InteractionGroup], int]:
        """Return one page of groups, and how many there are."""
        chosen = _parameters(tenant_id, page.span) | {
            "limit": page.limit,
            "offset": page.offset,
            "group_by": page.group_by.value,
            "kind": _KINDS[page.group_by],
        }

        async def ask(connection: Connection) -> tuple[list[InteractionGroup], int]:
            await self._sql.bound_statement(connection)
            summary = self._sql.customer_summary if page.group_by is GroupBy.CUSTOMER else self._sql.interaction_summary
            rows = [row async for row in summary(connection, **chosen)]
            total = rows[0]["group_count"] if rows else page.offset
            return [_group(row) for row in rows], total

        return await self._reads.read(tenant_id, ask)


def _parameters(tenant_id: UUID, span: Span) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "from_at": span.from_at,
        "last_at": span.last_at,
        "to_at": span.to_at,
        "timezone": span.zone,
        "from_day": span.from_at.date(),
        "to_day": (span.to_at - timedelta(days=1)).date(),
        "limit": _MOST_ROWS,
        **_LATEST,
    }


def _group(row: dict[str, Any]) -> InteractionGroup:
    counted = {name: row[name] for name in _COUNTED}
    return InteractionGroup(
        id=row["subject"],
        key=row["key"],
        name=row["name"],
        ctr=percentage(row["click"], row["impression"]),
        cvr=percentage(row["convert"], row["impression"]),
        **counted,
    )


async def _latest(connection: Connection, tenant_id: UUID, span: Span) -> list[StoredTrace]:
    """Return the latest traces of the span."""
    # Where few decisions are traced, all of them would be looked through for as many traces.
    found = await queries("dashboards").latest_decisions(connection, **_parameters(tenant_id, span))
    since = found["since"] or span.from_at
    traces, after = list[StoredTrace](), None
    while len(traces) < MOST_TRACES:
        page = queries("history").recent_traces(
            connection,
            tenant_id=tenant_id,
            since=since,
            after_at=after.at if after else None,
            after_id=after.id if after else None,
            limit=_TRACES_AT_ONCE,
        )
        rows = [row async for row in page]
        traces += await read_traces(connection, tenant_id, rows)
        if len(rows) < _TRACES_AT_ONCE:
            break
        after = ListPosition(rank=0, at=rows[-1]["decided_at"], id=rows[-1]["recommendation_id"])
    return traces
