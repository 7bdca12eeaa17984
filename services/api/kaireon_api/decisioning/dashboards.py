"""Dashboards and interaction summaries over all customers: read from replicas where there are any."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kaireon_api.operation import READ_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.forms import Pagination
from kaireon_application.decisioning.dashboards import (
    DashboardType,
    GroupBy,
    InteractionGroup,
    Span,
    SummaryPage,
    span_of,
)
from kaireon_application.platform.cursor import Offset, decode_cursor

Days = Annotated[int, Meta(ge=1, le=90)]


class DashboardParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of a dashboard: its type, and over how many days of the tenant, today included."""

    type: DashboardType
    days: Days = 7


class HealthParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of the decision health."""

    days: Days = 7


class GroupParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of the interaction summary."""

    group_by: GroupBy = GroupBy.ACTION
    days: Days = 30
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    cursor: str | None = None


class Dashboard(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a dashboard shows, from an instant on and before another: rows, or one object."""

    type: DashboardType
    days: int
    from_at: datetime = msgspec.field(name="from")
    to_at: datetime = msgspec.field(name="to")
    data: list[dict[str, Any]] | dict[str, Any]


class GroupList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of interactions by what they are about, the most frequent first."""

    data: list[InteractionGroup]
    pagination: Pagination


async def _dashboard(call: Call[None]) -> Reply:
    parameters: DashboardParameters = call.params
    return Reply(content=await _read(call, parameters.type, parameters.days))


async def _health(call: Call[None]) -> Reply:
    parameters: HealthParameters = call.params
    return Reply(content=await _read(call, DashboardType.DECISION_HEALTH, parameters.days))


async def _read(call: Call[None], type_: DashboardType, days: int) -> Dashboard:
    span = await _span(call, days)
    found = await call.services.reading.dashboards.data(call.tenant_id, type_, span)
    data = [_camel(row) for row in found] if isinstance(found, list) else _camel(found)
    return Dashboard(type=type_, days=days, from_at=span.from_at, to_at=span.to_at, data=data)


async def _groups(call: Call[None]) -> Reply:
    parameters: GroupParameters = call.params
    after = decode_cursor(parameters.cursor, Offset)
    offset = after.count if after else parameters.offset
    page = SummaryPage(
        group_by=parameters.group_by,
        span=await _span(call, parameters.days),
        limit=parameters.limit,
        offset=offset,
    )
    groups, total = await call.services.reading.dashboards.interactions(call.tenant_id, page)
    ended_at = offset + len(groups)
    pagination = pagination_of(total, parameters.limit, Offset(count=ended_at) if ended_at < total else None)
    return Reply(content=GroupList(data=groups, pagination=pagination))


async def _span(call: Call[None], days: int) -> Span:
    snapshot = await call.services.engine.snapshots.current(str(call.tenant_id))
    return span_of(days, datetime.now(UTC), snapshot.zone)


def _camel(row: dict[str, Any]) -> dict[str, Any]:
    return {first + "".join(map(str.capitalize, rest)): row[name] for name in row for first, *rest in [name.split("_")]}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/dashboard-data",
        role=Role.VIEWER,
        handler=_dashboard,
        summary="Show a dashboard: what was decided over some days, and what came of it",
        query=DashboardParameters,
        answers={200: Dashboard, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/dashboards/decision-health/summary",
        role=Role.VIEWER,
        handler=_health,
        summary="Show how decisions went: how many were empty or degraded, and how long they took",
        query=HealthParameters,
        answers={200: Dashboard, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/interaction-summary",
        role=Role.VIEWER,
        handler=_groups,
        summary="Count interactions by offer, creative, channel or customer",
        query=GroupParameters,
        answers={200: GroupList, **READ_ERRORS},
    ),
)
