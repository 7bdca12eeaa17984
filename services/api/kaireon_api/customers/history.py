"""Reading a customer's history: interactions, summaries, suppressions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_api.decisioning.decision_id import NO_ID, decision_id
from kaireon_api.operation import READ_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.entities import ListPosition
from kaireon_application.catalog.forms import Pagination
from kaireon_application.catalog.instant import parse_instant
from kaireon_application.customers.history import (
    HistoryQuery,
    Interaction,
    InteractionSummary,
    SummaryQuery,
    Suppression,
)
from kaireon_application.customers.suppression import bans_now, look_back_ms
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_application.errors import InvalidInput
from kaireon_application.platform.cursor import Offset, decode_cursor
from kaireon_application.platform.tenant_settings import read_tenant_settings

# Bans are found among so many of a customer's latest interactions.
_MOST_LOOKED_AT = 5_000
Reference = Annotated[str, Meta(min_length=1, max_length=255)]


class HistoryParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of the interaction history."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    customer_id: Reference | None = None
    offer_id: Reference | None = None
    action_id: Reference | None = None
    creative_id: Reference | None = None
    treatment_id: Reference | None = None
    recommendation_id: Reference | None = None
    type: Reference | None = None
    since: Reference | None = None


class SummaryParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of the interaction summaries; `customerId` is required."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    customer_id: Reference | None = None
    offer_id: Reference | None = None
    channel_id: Reference | None = None
    period_type: Literal["daily", "weekly", "monthly", "alltime"] | None = None


class SuppressionParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of a customer's suppressions."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None


class InteractionList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of interactions, newest first."""

    data: list[Interaction]
    pagination: Pagination


class SummaryList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of summaries."""

    data: list[InteractionSummary]
    pagination: Pagination


class SuppressionList(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's suppressions, the latest to end first."""

    data: list[Suppression]
    pagination: Pagination


async def _list_interactions(call: Call[None]) -> Reply:
    parameters: HistoryParameters = call.params
    public_id = parameters.recommendation_id
    snapshot = await call.services.engine.snapshots.current(str(call.tenant_id))
    query = HistoryQuery(
        limit=parameters.limit,
        after=decode_cursor(parameters.cursor, ListPosition),
        customer_id=parameters.customer_id,
        offer_id=_id(snapshot, "offers", parameters.offer_id or parameters.action_id),
        creative_id=_id(snapshot, "creatives", parameters.creative_id or parameters.treatment_id),
        recommendation_id=None if public_id is None else decision_id(public_id),
        type=parameters.type,
        since=_instant(parameters.since),
    )
    page = await call.services.engine.stored_history.interactions(call.tenant_id, query, await _store(call))
    pagination = pagination_of(page.total, parameters.limit, page.next_position)
    return Reply(content=InteractionList(data=page.interactions, pagination=pagination))


async def _store(call: Call[None]) -> str | None:
    """Return the store that the tenant has chosen, where there is a choice."""
    if not call.services.engine.stores.stores:
        return None
    return (await read_tenant_settings(call.services.tenants, call.tenant_id)).interaction_store


async def _list_summaries(call: Call[None]) -> Reply:
    parameters: SummaryParameters = call.params
    if parameters.customer_id is None:
        raise InvalidInput.at("query.customerId", "customerId is required")
    snapshot = await call.services.engine.snapshots.current(str(call.tenant_id))
    after = decode_cursor(parameters.cursor, Offset)
    offset = after.count if after else 0
    query = SummaryQuery(
        customer_id=parameters.customer_id,
        limit=parameters.limit,
        offset=offset,
        period_type=parameters.period_type,
        offer_id=_id(snapshot, "offers", parameters.offer_id),
        channel_id=_id(snapshot, "channels", parameters.channel_id),
    )
    summaries, total = await call.services.engine.history.summaries(call.tenant_id, query)
    ended_at = offset + len(summaries)
    pagination = pagination_of(total, parameters.limit, Offset(count=ended_at) if ended_at < total else None)
    return Reply(content=SummaryList(data=list(summaries), pagination=pagination))


async def _list_suppressions(call: Call[None]) -> Reply:
    parameters: SuppressionParameters = call.params
    engine = call.services.engine
    snapshot = await engine.snapshots.current(str(call.tenant_id))
    now = datetime.now(UTC)
    stored = await engine.history.suppressions(call.tenant_id, call.path["id"], now)
    done = await _done_since(call, now - timedelta(milliseconds=look_back_ms(snapshot)))
    found = bans_now(stored, done, snapshot, now)
    after = decode_cursor(parameters.cursor, Offset)
    start = after.count if after else 0
    end = start + parameters.limit
    pagination = pagination_of(len(found), parameters.limit, Offset(count=end) if end < len(found) else None)
    return Reply(content=SuppressionList(data=found[start:end], pagination=pagination))


async def _done_since(call: Call[None], since: datetime) -> list[Interaction]:
    """Return the latest that a customer did or was shown since an instant."""
    query = HistoryQuery(limit=_MOST_LOOKED_AT, customer_id=call.path["id"], since=since)
    page = await call.services.engine.history.interactions(call.tenant_id, query)
    return [one for one in page.interactions if one.outcome_type_key is not None]


def _id(snapshot: TenantSnapshot, collection: str, reference: str | None) -> UUID | None:
    """Return the UUID of what an id or key names; a deleted thing is still found by its id."""
    if reference is None:
        return None
    found = snapshot.find(collection, reference)
    if found is not None:
        return UUID(found.id)
    try:
        return UUID(reference)
    except ValueError:
        return NO_ID


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    instant = parse_instant(text)
    if instant is None:
        raise InvalidInput.at("query.since", "must be an ISO 8601 instant such as 2026-01-31T12:00:00Z")
    return instant


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/interaction-history",
        role=Role.VIEWER,
        handler=_list_interactions,
        summary="List interactions, newest first",
        query=HistoryParameters,
        answers={200: InteractionList, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/interaction-summaries",
        role=Role.VIEWER,
        handler=_list_summaries,
        summary="List a customer's summaries per offer, creative, channel and period",
        query=SummaryParameters,
        answers={200: SummaryList, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/customers/{id}/suppressions",
        role=Role.VIEWER,
        handler=_list_suppressions,
        summary="List a customer's suppressions",
        query=SuppressionParameters,
        answers={200: SuppressionList, **READ_ERRORS},
    ),
)
