"""Kinds of which there are few: their list is a plain array of everything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaireon_api.catalog.crud import operations
from kaireon_api.operation import Call, Operation, Reply
from kaireon_application.catalog.entities import ListPosition, ListQuery
from kaireon_application.catalog.forms import view_form
from kaireon_application.catalog.kind import Document, EntityKind
from kaireon_application.catalog.read_entity import list_views

_PAGE = 100


def whole_list_operations(kind: EntityKind) -> tuple[Operation, ...]:
    """Return the operations of a kind, the list as an array in the order of the kind."""

    async def handle(call: Call[None]) -> Reply:
        params: Any = call.params
        after: ListPosition | None = None
        found = list[Document]()
        while True:
            query = ListQuery(
                limit=_PAGE,
                order=kind.order,
                after=after,
                status=params.status,
                include_deleted=params.include_deleted,
            )
            data, _, after = await list_views(call.services.entities, call.tenant_id, kind, query, {})
            found += data
            if after is None:
                return Reply(content=found)

    def as_array(operation: Operation) -> Operation:
        if operation.method != "GET" or operation.path.endswith("{id}"):
            return operation
        return replace(operation, handler=handle, answers={**operation.answers, 200: list[view_form(kind)]})

    return tuple(as_array(operation) for operation in operations(kind))
