"""Flow routes: which flow decides for a channel and placement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from kaireon_application.catalog.entities import Entities, Entity, EntityReader, EntityWriter, ListOrder, ListQuery
from kaireon_application.catalog.fields import EntityRef, Key, Name, Status
from kaireon_application.catalog.kind import Caller, Change, Document, EntityKind, Filter, refers
from kaireon_application.catalog.references import resolve_references
from kaireon_application.catalog.write_entity import new_change, store_new, validated
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.errors import Conflict

Priority = Annotated[int, Meta(ge=0, le=1_000_000)]
_PLACE = ("channelId", "placementId")


class NewFlowRoute(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A route as it is created; `channelId` and `placementId` null mean any."""

    key: Key | None = None
    name: Name = "Route"
    status: Status = "active"
    decision_flow_id: EntityRef
    channel_id: EntityRef | None = None
    placement_id: EntityRef | None = None
    priority: Priority = 0


class RoutedFlow(Struct, frozen=True, kw_only=True):
    """The flow that a route leads to."""

    id: UUID
    name: str
    key: str


async def _only_one_of_its_place(writer: EntityWriter, change: Change) -> Document:
    found = await _route_of_place(writer, change.document)
    if found is not None and (change.previous is None or found.id != change.previous.id):
        message = f"the route '{found.key}' has this channel and placement already; change that one"
        raise Conflict(message)
    return change.document


async def _route_of_place(reader: EntityReader, document: Document) -> Entity | None:
    place = {name: document[name] for name in _PLACE}
    page = await reader.page(FLOW_ROUTE.name, ListQuery(limit=1, matching=place))
    return page.entities[0] if page.entities else None


FLOW_ROUTE = EntityKind(
    name="flow_route",
    noun="flow route",
    path="flow-routes",
    create=NewFlowRoute,
    example={"decisionFlowId": "welcome-nba", "channelId": "web", "placementId": "hero_banner", "priority": 10},
    order=ListOrder.PRIORITY,
    filters=(Filter(parameter="decisionFlowId", field="decisionFlowId", type=EntityRef, kind="decision_flow"),),
    references=refers(decisionFlowId="decision_flow", channelId="channel", placementId="placement"),
    settle=_only_one_of_its_place,
)


async def put_flow_route(entities: Entities, caller: Caller, form: NewFlowRoute) -> tuple[Entity, bool]:
    """Store the route of a channel and placement, and say whether it is new: an existing one is led elsewhere.

    Raises `InvalidInput`, `NotFound` for a reference, `Conflict` for a taken key.
    """
    changes = validated(FLOW_ROUTE, [new_change(caller, form)])
    async with entities.writing(caller.tenant_id, caller.actor) as writer:
        (change,) = await resolve_references(writer, FLOW_ROUTE, changes)
        found = await _route_of_place(writer, change.document)
        if found is None:
            return (await store_new(writer, FLOW_ROUTE, changes))[0], True
        body = {name: value for name, value in change.document.items() if name not in {"key", "name", "status"}}
        status: str = change.document["status"]
        return await writer.update(msgspec.structs.replace(found, status=status, body=body)), False


async def routed_flows(entities: Entities, tenant_id: UUID, routes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return routes as they are answered, each with the flow that it leads to; null once that is deleted."""
    async with entities.reading(tenant_id) as reader:
        flows = await reader.find(DECISION_FLOW.name, {route["decisionFlowId"] for route in routes})
    return [{**route, "decisionFlow": _routed(flows.get(route["decisionFlowId"]))} for route in routes]


def _routed(flow: Entity | None) -> RoutedFlow | None:
    return None if flow is None else RoutedFlow(id=flow.id, name=flow.name, key=flow.key)
