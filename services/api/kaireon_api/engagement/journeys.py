"""Journeys over HTTP: as every kind, and who is in them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_api.catalog.crud import finder, operations
from kaireon_api.operation import ITEM_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_api.platform.jobs import accept
from kaireon_application.catalog.forms import Pagination
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.engagement.enrollment import (
    Enrolled,
    EnrollForm,
    Enrollment,
    EnrollmentDetail,
    EnrollmentPosition,
    EnrollmentQuery,
    EnrollmentStatus,
)
from kaireon_application.engagement.journey import JOURNEY
from kaireon_application.engagement.try_journey import Trial, TrialForm
from kaireon_application.errors import NotFound
from kaireon_application.platform.cursor import decode_cursor
from kaireon_application.platform.jobs import JobAccepted

_PATH = f"/api/v1/{JOURNEY.path}/{{id}}"


class EnrollmentParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of the list of enrolments."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    status: EnrollmentStatus | None = None
    customer_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class EnrollmentList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of enrolments, newest first."""

    data: list[Enrollment]
    pagination: Pagination


async def _enroll(call: Call[EnrollForm]) -> Reply:
    done = await call.services.engagement.enroll(call.tenant_id, call.path["id"], call.body)
    return accept(done) if isinstance(done, UUID) else Reply(content=done, status=201)


async def _try(call: Call[TrialForm]) -> Reply:
    return Reply(content=await call.services.engagement.try_journey(call.tenant_id, call.path["id"], call.body))


async def _list(call: Call[None]) -> Reply:
    params: EnrollmentParameters = call.params
    journey = await get_entity(call.services.entities, call.tenant_id, JOURNEY.name, call.path["id"])
    query = EnrollmentQuery(
        journey_id=journey.id,
        limit=params.limit,
        after=decode_cursor(params.cursor, EnrollmentPosition),
        status=params.status,
        customer_id=params.customer_id,
    )
    page = await call.services.engagement.enrollments.page(call.tenant_id, query)
    last = page.enrollments[-1] if page.has_more else None
    position = None if last is None else EnrollmentPosition(entered_at=last.entered_at, id=last.id)
    pagination = pagination_of(page.total, params.limit, position)
    return Reply(content=EnrollmentList(data=page.enrollments, pagination=pagination))


async def _get(call: Call[Any]) -> Reply:
    journey = await get_entity(call.services.entities, call.tenant_id, JOURNEY.name, call.path["id"])
    found = await call.services.engagement.enrollments.get(call.tenant_id, journey.id, _enrollment_id(call))
    if found is None:
        raise NotFound(f"no enrolment {call.path['enrollmentId']} in this journey")
    return Reply(content=found)


def _enrollment_id(call: Call[Any]) -> UUID:
    try:
        return UUID(call.path["enrollmentId"])
    except ValueError:
        raise NotFound(f"no enrolment {call.path['enrollmentId']!r} in this journey") from None


OPERATIONS: tuple[Operation, ...] = (
    *operations(JOURNEY),
    Operation(
        method="POST",
        path=f"{_PATH}/enroll",
        role=Role.EDITOR,
        handler=_enroll,
        summary="Let customers into an active journey; a segment is read by a job",
        body=EnrollForm,
        example={"customerIds": ["1045", "2210"]},
        find=finder(JOURNEY),
        answers={201: Enrolled, 202: JobAccepted, **WRITE_ERRORS},
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/test",
        role=Role.VIEWER,
        handler=_try,
        summary="Walk a journey for a customer, and write nothing",
        body=TrialForm,
        example={"customerId": "1045", "customerAttributes": {"plan": "gold"}},
        find=finder(JOURNEY),
        answers={200: Trial, **WRITE_ERRORS},
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/enrollments",
        role=Role.VIEWER,
        handler=_list,
        summary="List who is or was in a journey, newest first",
        query=EnrollmentParameters,
        find=finder(JOURNEY),
        answers={200: EnrollmentList, **ITEM_ERRORS},
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/enrollments/{{enrollmentId}}",
        role=Role.VIEWER,
        handler=_get,
        summary="Get an enrolment with the steps that it has taken",
        answers={200: EnrollmentDetail, **ITEM_ERRORS},
    ),
)
