"""The operations that every kind has, made from its `EntityKind`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kaireon_api.operation import ITEM_ERRORS, READ_ERRORS, WRITE_ERRORS, Call, Finder, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.delete_entity import delete_entity
from kaireon_application.catalog.entities import Entity, ListPosition, ListQuery
from kaireon_application.catalog.forms import (
    chosen_fields,
    list_form,
    page_form,
    update_form,
    view_form,
)
from kaireon_application.catalog.kind import Caller, EntityKind
from kaireon_application.catalog.read_entity import get_entity, get_view, list_views, view
from kaireon_application.catalog.write_entity import create_entity, update_entity
from kaireon_application.platform.cursor import decode_cursor


def operations(kind: EntityKind) -> tuple[Operation, ...]:
    """Return list, create, get, update and delete."""
    return (
        list_operation(kind),
        create_operation(kind),
        get_operation(kind),
        update_operation(kind),
        delete_operation(kind),
    )


def under_older_name(operations: Iterable[Operation], path: str, older: str) -> tuple[Operation, ...]:
    """Return the same operations under the path's older name."""
    return tuple(
        replace(operation, path=operation.path.replace(path, older), summary=f"{operation.summary} (older name)")
        for operation in operations
    )


def caller(call: Call[Any]) -> Caller:
    """Return who asks, and that it is now."""
    is_admin = call.principal.role is Role.ADMIN
    return Caller(
        tenant_id=call.tenant_id,
        is_admin=is_admin,
        at=datetime.now(UTC),
        actor=call.actor,
        reach=call.services.settings.allow_list,
    )


def finder(kind: EntityKind) -> Finder:
    """Return what tells whether the id or key in the path names a thing of this kind."""

    async def find(call: Call[None]) -> object:
        return await get_entity(call.services.entities, call.tenant_id, kind.name, call.path["id"])

    return find


def list_operation(kind: EntityKind) -> Operation:
    """Return `GET /<path>`."""

    async def handle(call: Call[None]) -> Reply:
        params: Any = call.params
        chosen = chosen_fields(kind, params)
        query = ListQuery(
            limit=params.limit,
            order=kind.order,
            after=decode_cursor(params.cursor, ListPosition),
            status=params.status,
            include_deleted=params.include_deleted,
            matching={one.field: value for one, value in chosen.items() if one.kind is None},
        )
        owners = {one.field: (one.kind, value) for one, value in chosen.items() if one.kind is not None}
        data, total, ended_at = await list_views(call.services.entities, call.tenant_id, kind, query, owners)
        pagination = pagination_of(total, params.limit, ended_at)
        return Reply(content={"data": data, "pagination": pagination})

    return Operation(
        method="GET",
        path=f"/api/v1/{kind.path}",
        role=Role.VIEWER,
        handler=handle,
        summary=f"List {_plural(kind)}",
        query=list_form(kind),
        answers={200: page_form(kind), **READ_ERRORS},
    )


def get_operation(kind: EntityKind) -> Operation:
    """Return `GET /<path>/{id}`."""

    async def handle(call: Call[None]) -> Reply:
        return Reply(content=await get_view(call.services.entities, call.tenant_id, kind, call.path["id"]))

    return Operation(
        method="GET",
        path=f"/api/v1/{kind.path}/{{id}}",
        role=Role.VIEWER,
        handler=handle,
        summary=f"Get {_singular(kind)} by id or key",
        answers={200: view_form(kind), **ITEM_ERRORS},
    )


def create_operation(kind: EntityKind) -> Operation:
    """Return `POST /<path>`."""

    async def handle(call: Call[Any]) -> Reply:
        entity = await create_entity(call.services.entities, kind, caller(call), call.body)
        return await reply_entity(call, kind, entity, 201)

    return Operation(
        method="POST",
        path=f"/api/v1/{kind.path}",
        role=writer_role(kind),
        handler=handle,
        summary=f"Create {_singular(kind)}",
        body=kind.create,
        example=kind.example,
        answers={201: view_form(kind), **WRITE_ERRORS},
    )


def update_operation(kind: EntityKind) -> Operation:
    """Return `PUT /<path>/{id}`, which changes the fields that are sent."""

    async def handle(call: Call[Any]) -> Reply:
        entity = await update_entity(call.services.entities, kind, caller(call), call.path["id"], call.body)
        return await reply_entity(call, kind, entity, 200)

    return Operation(
        method="PUT",
        path=f"/api/v1/{kind.path}/{{id}}",
        role=writer_role(kind),
        handler=handle,
        summary=f"Change {_singular(kind)}",
        body=update_form(kind),
        example={"status": "active", "rowVersion": 1},
        find=finder(kind),
        answers={200: view_form(kind), **WRITE_ERRORS},
    )


def delete_operation(kind: EntityKind) -> Operation:
    """Return `DELETE /<path>/{id}`."""

    async def handle(call: Call[None]) -> Reply:
        await delete_entity(call.services.entities, kind, caller(call), call.path["id"])
        return Reply(status=204)

    return Operation(
        method="DELETE",
        path=f"/api/v1/{kind.path}/{{id}}",
        role=writer_role(kind),
        handler=handle,
        summary=f"Delete {_singular(kind)}",
        answers={204: None, **ITEM_ERRORS, 409: None},
    )


async def reply_entity(call: Call[Any], kind: EntityKind, entity: Entity, status: int) -> Reply:
    """Answer with a thing as it was just stored, with its inline parts."""
    if kind.inline is None and kind.counted is None:
        return Reply(content=view(call.tenant_id, kind, entity), status=status)
    content = await get_view(call.services.entities, call.tenant_id, kind, str(entity.id))
    return Reply(content=content, status=status)


def writer_role(kind: EntityKind) -> Role:
    """Return who may write things of this kind."""
    return Role.ADMIN if kind.is_admin_only else Role.EDITOR


def _singular(kind: EntityKind) -> str:
    return f"{'an' if kind.noun[0] in 'aeiou' else 'a'} {kind.noun}"


def _plural(kind: EntityKind) -> str:
    return kind.path.replace("-", " ") if kind.path != "sub-categories" else kind.path
