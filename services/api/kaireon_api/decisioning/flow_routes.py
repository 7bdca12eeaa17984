"""Flow routes over HTTP: the generic operations, with the flow of each route beside it, and one route per place."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec

from kaireon_api.catalog.crud import caller, operations
from kaireon_api.operation import Call, Handler, Operation, Reply
from kaireon_application.catalog.forms import Pagination, view_form
from kaireon_application.catalog.read_entity import view
from kaireon_application.decisioning.flow_route import (
    FLOW_ROUTE,
    NewFlowRoute,
    RoutedFlow,
    put_flow_route,
    routed_flows,
)

_Route: Any = msgspec.defstruct(
    "FlowRouteAnswer",
    [("decision_flow", RoutedFlow | None)],
    bases=(view_form(FLOW_ROUTE),),
    rename="camel",
    kw_only=True,
)
_RoutePage: Any = msgspec.defstruct("FlowRoutePage", [("data", list[_Route]), ("pagination", Pagination)])


async def _create(call: Call[NewFlowRoute]) -> Reply:
    route, is_new = await put_flow_route(call.services.entities, caller(call), call.body)
    content = await _routed(call.services, call.tenant_id, [view(call.tenant_id, FLOW_ROUTE, route)])
    return Reply(content=content[0], status=201 if is_new else 200)


def _with_flow(handler: Handler) -> Handler:
    """Return the handler with the flow beside every route that it answers."""

    async def handle(call: Call[Any]) -> Reply:
        reply = await handler(call)
        content: Any = reply.content
        if content is None:
            return reply
        if "pagination" in content:
            return msgspec.structs.replace(
                reply, content={**content, "data": await _routed(call.services, call.tenant_id, content["data"])}
            )
        return msgspec.structs.replace(reply, content=(await _routed(call.services, call.tenant_id, [content]))[0])

    return handle


async def _routed(services: Any, tenant_id: UUID, routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return await routed_flows(services.entities, tenant_id, routes)


def _answered(operation: Operation) -> Operation:
    if operation.method == "POST":
        answers = {200: _Route, **operation.answers, 201: _Route}
        summary = "Create the route of a channel and placement, or lead it to another flow"
        return replace(operation, handler=_create, answers=answers, summary=summary)
    if HTTPStatus.OK not in operation.answers:
        return operation
    form = _Route if operation.path.endswith("{id}") else _RoutePage
    return replace(operation, handler=_with_flow(operation.handler), answers={**operation.answers, 200: form})


OPERATIONS: tuple[Operation, ...] = tuple(_answered(operation) for operation in operations(FLOW_ROUTE))
