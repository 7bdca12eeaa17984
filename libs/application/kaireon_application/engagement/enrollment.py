"""Enrolments: who is in a journey, where, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_application.customers.outcome_form import CustomerId
from kaireon_application.engagement.reactions import NewEnrollment

ADVANCE_JOB = "advance_journeys"
ENROLL_SEGMENT_JOB = "enroll_segment"


class EnrollmentStatus(StrEnum):
    """Where an enrolment stands; all but the first are final."""

    ACTIVE = "active"
    COMPLETED = "completed"
    EXITED = "exited"
    EXPIRED = "expired"
    FAILED = "failed"


class EnrollForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Who is to enter: one customer, a list, or everyone in a segment, which a worker reads.

    `attributes` is what the journey's conditions may look at beside what is stored of the customer.
    """

    customer_id: CustomerId | None = None
    customer_ids: Annotated[list[CustomerId], Meta(min_length=1, max_length=1_000)] | None = None
    segment_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    attributes: Annotated[dict[str, Any], Meta(max_length=100)] = {}


class Enrolled(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who has entered, and how many were in the journey already."""

    journey_id: UUID
    journey_name: str
    enrolled: int
    skipped: int
    enrollment_ids: list[UUID]


class JourneyStep(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A step that was taken; numbers count from 1."""

    number: int
    node_id: str
    node_type: str
    outcome: dict[str, Any]
    taken_at: datetime


class Enrollment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One customer in one journey; `node_id` is the node whose turn it is, or the last one.

    While it is active something happens at `due_at` at the latest.
    """

    id: UUID
    journey_id: UUID
    customer_id: str
    status: EnrollmentStatus
    node_id: str
    step_count: int
    waiting_for: str | None
    due_at: datetime | None
    entered_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    reason: str | None
    context: dict[str, Any]


class EnrollmentDetail(Enrollment, frozen=True, kw_only=True, rename="camel"):
    """An enrolment with the steps that it has taken."""

    steps: list[JourneyStep]


class EnrollmentPosition(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a page ended."""

    entered_at: datetime
    id: UUID


class EnrollmentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which enrolments of a journey to list, newest first."""

    journey_id: UUID
    limit: int
    after: EnrollmentPosition | None = None
    status: EnrollmentStatus | None = None
    customer_id: str | None = None


class EnrollmentPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page; `has_more` tells whether another follows."""

    enrollments: list[Enrollment]
    total: int
    has_more: bool


class EnrollmentShelf(Protocol):
    """Enrolments as operators see them. Every method raises `Unavailable` while Postgres cannot be reached."""

    async def enroll(self, tenant_id: UUID, new: Sequence[NewEnrollment]) -> tuple[list[UUID], list[UUID]]:
        """Write those who are not in the journey already, and jobs that advance them.

        Return the ids of those that are new, and of the jobs.
        """
        ...

    async def page(self, tenant_id: UUID, query: EnrollmentQuery) -> EnrollmentPage:
        """Return one page."""
        ...

    async def get(self, tenant_id: UUID, journey_id: UUID, id_: UUID) -> EnrollmentDetail | None:
        """Return an enrolment with its steps, or None."""
        ...
