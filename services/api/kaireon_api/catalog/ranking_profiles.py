"""Ranking profiles over HTTP: the generic operations, a list that is a plain array, and their older name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaireon_api.catalog.crud import operations
from kaireon_api.operation import Call, Operation, Reply
from kaireon_application.catalog.entities import ListPosition, ListQuery
from kaireon_application.catalog.forms import view_form
from kaireon_application.catalog.kind import Document
from kaireon_application.catalog.ranking_profile import RANKING_PROFILE
from kaireon_application.catalog.read_entity import list_views

_PAGE = 100
_OLDER_PATH = "arbitration-profiles"


async def _list(call: Call[None]) -> Reply:
    """Answer with all profiles, newest first: there are few."""
    params: Any = call.params
    after: ListPosition | None = None
    found = list[Document]()
    while True:
        query = ListQuery(
            limit=_PAGE,
            order=RANKING_PROFILE.order,
            after=after,
            status=params.status,
            include_deleted=params.include_deleted,
        )
        data, _, after = await list_views(call.services.entities, call.tenant_id, RANKING_PROFILE, query, {})
        found += data
        if after is None:
            return Reply(content=found)


def _as_array(operation: Operation) -> Operation:
    if operation.method != "GET" or operation.path.endswith("{id}"):
        return operation
    return replace(operation, handler=_list, answers={**operation.answers, 200: list[view_form(RANKING_PROFILE)]})


def _older(operation: Operation) -> Operation:
    return replace(
        operation,
        path=operation.path.replace(RANKING_PROFILE.path, _OLDER_PATH),
        summary=f"{operation.summary} (older name)",
    )


_OPERATIONS = tuple(_as_array(operation) for operation in operations(RANKING_PROFILE))
OPERATIONS: tuple[Operation, ...] = (*_OPERATIONS, *(_older(operation) for operation in _OPERATIONS))
