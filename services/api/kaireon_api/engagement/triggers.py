"""Triggers over HTTP: as every kind, and when each has fired."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kaireon_api.catalog.crud import finder, operations
from kaireon_api.operation import ITEM_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.forms import Pagination
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.engagement.firing import FiringPosition, FiringQuery, TriggerFiring
from kaireon_application.engagement.trigger import TRIGGER
from kaireon_application.platform.cursor import decode_cursor


class FiringParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of the list of firings."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    customer_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class FiringList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of firings, newest first."""

    data: list[TriggerFiring]
    pagination: Pagination


async def _list(call: Call[None]) -> Reply:
    params: FiringParameters = call.params
    trigger = await get_entity(call.services.entities, call.tenant_id, TRIGGER.name, call.path["id"])
    query = FiringQuery(
        trigger_id=trigger.id,
        limit=params.limit,
        after=decode_cursor(params.cursor, FiringPosition),
        customer_id=params.customer_id,
    )
    page = await call.services.engagement.firings.page(call.tenant_id, query)
    last = page.firings[-1] if page.has_more else None
    position = None if last is None else FiringPosition(fired_at=last.fired_at, id=last.id)
    pagination = pagination_of(page.total, params.limit, position)
    return Reply(content=FiringList(data=page.firings, pagination=pagination))


OPERATIONS: tuple[Operation, ...] = (
    *operations(TRIGGER),
    Operation(
        method="GET",
        path=f"/api/v1/{TRIGGER.path}/{{id}}/firings",
        role=Role.VIEWER,
        handler=_list,
        summary="List when a trigger has fired and what became of it, newest first",
        query=FiringParameters,
        find=finder(TRIGGER),
        answers={200: FiringList, **ITEM_ERRORS},
    ),
)
