"""Background jobs over HTTP: list, look, cancel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from kaireon_api.operation import Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.forms import Pagination
from kaireon_application.errors import NotFound
from kaireon_application.platform.cursor import decode_cursor
from kaireon_application.platform.job import JobStatus, Queue
from kaireon_application.platform.jobs import JobAccepted, JobAnswer, JobPosition, JobQuery, accepted, answer


class JobListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of the list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 25
    cursor: str | None = None
    status: JobStatus | None = None
    queue: Queue | None = None


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of jobs, newest first."""

    data: list[JobAnswer]
    pagination: Pagination


def accept(job_id: UUID) -> Reply:
    """Return the answer to a call that queued a job: 202 with where to look."""
    answered = accepted(job_id)
    return Reply(content=answered, status=202, headers={"location": answered.status_url})


async def _list_jobs(call: Call[Any]) -> Reply:
    query: JobListQuery = call.params
    page = await call.services.jobs.list(
        call.tenant_id,
        JobQuery(
            limit=query.limit,
            status=query.status,
            queue=query.queue,
            after=decode_cursor(query.cursor, JobPosition),
        ),
    )
    now = datetime.now(UTC)
    last = page.records[-1] if page.has_more else None
    pagination = pagination_of(
        page.total, query.limit, None if last is None else JobPosition(created_at=last.created_at, id=last.id)
    )
    return Reply(content=JobList(data=[answer(record, now) for record in page.records], pagination=pagination))


async def _get_job(call: Call[Any]) -> Reply:
    record = await call.services.jobs.get(call.tenant_id, _job_id(call))
    return Reply(content=answer(record, datetime.now(UTC)))


async def _cancel_job(call: Call[Any]) -> Reply:
    record = await call.services.jobs.cancel(call.tenant_id, _job_id(call))
    if record.status == JobStatus.CANCELLED:
        return Reply(content=answer(record, datetime.now(UTC)))
    return accept(record.id)


def _job_id(call: Call[Any]) -> UUID:
    try:
        return UUID(call.path["id"])
    except ValueError:
        raise NotFound(f"no job {call.path['id']!r} in this tenant") from None


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/jobs",
        role=Role.VIEWER,
        handler=_list_jobs,
        summary="List jobs, newest first",
        query=JobListQuery,
        answers={200: JobList},
    ),
    Operation(
        method="GET",
        path="/api/v1/jobs/{id}",
        role=Role.VIEWER,
        handler=_get_job,
        summary="Get a job with its progress",
        answers={200: JobAnswer, 404: None},
    ),
    Operation(
        method="POST",
        path="/api/v1/jobs/{id}/cancel",
        role=Role.EDITOR,
        handler=_cancel_job,
        summary="Cancel a job: at once while it waits, at its next report while it runs",
        answers={200: JobAnswer, 202: JobAccepted, 404: None, 409: None},
    ),
)
