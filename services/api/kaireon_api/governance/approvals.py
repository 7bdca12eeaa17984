"""Approvals over HTTP: ask for a change, let it pass, refuse it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec

from kaireon_api.catalog.crud import caller
from kaireon_api.operation import READ_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.forms import Pagination
from kaireon_application.errors import NotFound
from kaireon_application.governance.approval import (
    Approval,
    ApprovalForm,
    ApprovalPosition,
    ApprovalStatus,
    DecisionForm,
)
from kaireon_application.governance.decide_approval import decide_approval
from kaireon_application.governance.request_approval import request_approval
from kaireon_application.platform.cursor import decode_cursor


class ApprovalListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of the list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 25
    cursor: str | None = None
    status: ApprovalStatus = ApprovalStatus.PENDING


class ApprovalList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of requests, newest first."""

    data: list[Approval]
    pagination: Pagination


async def _list(call: Call[None]) -> Reply:
    query: ApprovalListQuery = call.params
    after = decode_cursor(query.cursor, ApprovalPosition)
    found, total = await call.services.governance.approvals.page(call.tenant_id, query.status, after, query.limit + 1)
    shown, has_more = list(found[: query.limit]), len(found) > query.limit
    ended_at = ApprovalPosition(at=shown[-1].created_at, id=shown[-1].id) if has_more else None
    pagination = pagination_of(total, query.limit, ended_at)
    return Reply(content=ApprovalList(data=shown, pagination=pagination))


async def _request(call: Call[ApprovalForm]) -> Reply:
    return Reply(
        content=await request_approval(call.services.governance.approvals, caller(call), call.body), status=201
    )


async def _decide(call: Call[DecisionForm]) -> Reply:
    approval = await decide_approval(call.services.governance.approvals, caller(call), _id(call), call.body)
    call.services.engine.snapshots.invalidate(str(call.tenant_id))
    return Reply(content=approval)


async def _find(call: Call[None]) -> object:
    found = await call.services.governance.approvals.get(call.tenant_id, _id(call))
    if found is None:
        raise NotFound(f"there is no approval {call.path['id']} in this tenant")
    return found


def _id(call: Call[Any]) -> UUID:
    try:
        return UUID(call.path["id"])
    except ValueError:
        raise NotFound(f"there is no approval {call.path['id']!r} in this tenant") from None


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/approvals",
        role=Role.VIEWER,
        handler=_list,
        summary="List requests for changes, newest first; those that wait unless another status is given",
        query=ApprovalListQuery,
        answers={200: ApprovalList, **READ_ERRORS},
    ),
    Operation(
        method="POST",
        path="/api/v1/approvals",
        role=Role.EDITOR,
        handler=_request,
        summary="Ask for a change, to be approved in stages",
        body=ApprovalForm,
        example={
            "entityType": "offer",
            "entityName": "Gold card",
            "action": "create",
            "payload": {"name": "Gold card", "priority": 80},
            "stages": [
                {"stageName": "Legal", "requiredRole": "editor"},
                {"stageName": "Head", "requiredRole": "admin"},
            ],
        },
        answers={201: Approval, **WRITE_ERRORS},
    ),
    Operation(
        method="POST",
        path="/api/v1/approvals/{id}",
        role=Role.EDITOR,
        handler=_decide,
        summary="Approve or reject the stage that is open; the last approval makes the change",
        body=DecisionForm,
        example={"action": "approve", "comments": "As discussed."},
        find=_find,
        answers={200: Approval, **WRITE_ERRORS, 422: None},
    ),
)
