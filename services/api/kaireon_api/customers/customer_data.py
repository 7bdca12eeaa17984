"""What is held about a customer, over HTTP: asked for, downloaded, erased."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from msgspec import Meta

from kaireon_api.operation import READ_ERRORS, WRITE_ERRORS, Call, Limit, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.forms import Pagination
from kaireon_application.customers.customer_data import (
    CustomerDataForm,
    CustomerDataRequest,
    RequestStatus,
    Subject,
    download,
    request_customer_data,
    require_export,
    require_no_hold,
)
from kaireon_application.errors import NotFound
from kaireon_application.platform.cursor import decode_cursor
from kaireon_application.platform.jobs import JobPosition

_LIMIT = Limit(count=10, seconds=60)
_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._@-]+")


class RequestListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of the list."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    status: RequestStatus | None = None


class RequestList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of requests, newest first; `requests` is `data` under its older name, `count` its length."""

    data: list[CustomerDataRequest]
    requests: list[CustomerDataRequest]
    count: int
    pagination: Pagination


class RequestAccepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the 202 answers; the request is a job of the same id."""

    request_id: UUID
    status: RequestStatus
    job_id: UUID
    status_url: str


class ErasureForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Who is to be erased."""

    customer_id: Subject


class ErasureAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many rows are gone, by what they were."""

    success: bool
    customer_id: str
    deleted_counts: dict[str, int]
    total_deleted: int


async def _list(call: Call[None]) -> Reply:
    query: RequestListQuery = call.params
    after = decode_cursor(query.cursor, JobPosition)
    requests = call.services.governance.customer_data_requests
    found, total = await requests.page(call.tenant_id, query.status, after, query.limit + 1)
    shown, has_more = found[: query.limit], len(found) > query.limit
    ended_at = JobPosition(created_at=shown[-1].requested_at, id=shown[-1].id) if has_more else None
    pagination = pagination_of(total, query.limit, ended_at)
    return Reply(content=RequestList(data=shown, requests=shown, count=len(shown), pagination=pagination))


async def _request(call: Call[CustomerDataForm]) -> Reply:
    services = call.services
    id_ = await request_customer_data(
        services.governance.customer_data, services.jobs, call.tenant_id, call.body, call.actor
    )
    url = f"/api/v1/jobs/{id_}"
    answer = RequestAccepted(request_id=id_, status=RequestStatus.QUEUED, job_id=id_, status_url=url)
    return Reply(content=answer, status=202, headers={"location": url})


async def _download(call: Call[None]) -> Reply:
    requests = call.services.governance.customer_data_requests
    try:
        id_ = UUID(call.path["id"])
    except ValueError:
        raise NotFound(f"there is no completed export {call.path['id']!r} in this tenant") from None
    request = await require_export(requests, call.tenant_id, id_)
    subject = _NOT_IN_FILE_NAMES.sub("_", request.subject_id)
    name = f"dsar-export-{subject}-{request.completed_at:%Y-%m-%d}.json"
    return Reply(
        stream=download(requests, call.tenant_id, request),
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _erase(call: Call[ErasureForm]) -> Reply:
    store, customer_id = call.services.governance.customer_data, call.body.customer_id
    await require_no_hold(store, call.tenant_id)
    counts = await store.erase(call.tenant_id, [customer_id], call.actor, uuid4())
    return Reply(
        content=ErasureAnswer(
            success=True, customer_id=customer_id, deleted_counts=counts, total_deleted=sum(counts.values())
        )
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/dsar",
        role=Role.ADMIN,
        handler=_list,
        summary="List requests about customers, newest first",
        query=RequestListQuery,
        answers={200: RequestList, **READ_ERRORS},
    ),
    Operation(
        method="POST",
        path="/api/v1/dsar",
        role=Role.ADMIN,
        handler=_request,
        summary="Ask for everything that is held about a customer, or for its erasure",
        body=CustomerDataForm,
        example={"requestType": "export", "subjectId": "c-42"},
        limit=_LIMIT,
        answers={202: RequestAccepted, **WRITE_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/dsar/{id}/download",
        role=Role.ADMIN,
        handler=_download,
        summary="Download a completed export",
        answers={200: dict[str, Any], **READ_ERRORS},
        headers={"Content-Disposition": "A name for the file."},
    ),
    Operation(
        method="POST",
        path="/api/v1/gdpr/erasure",
        role=Role.ADMIN,
        handler=_erase,
        summary="Erase everything that is held about a customer, at once",
        body=ErasureForm,
        example={"customerId": "c-42"},
        limit=_LIMIT,
        answers={200: ErasureAnswer, **WRITE_ERRORS},
    ),
)
