"""Enrolling customers in a journey."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.catalog.read_entity import require
from kaireon_application.catalog.refusal import refuse
from kaireon_application.engagement.enrollment import ENROLL_SEGMENT_JOB, Enrolled, EnrollForm, EnrollmentShelf
from kaireon_application.engagement.journey import KIND
from kaireon_application.engagement.journey_graph import graph_of
from kaireon_application.engagement.reactions import NewEnrollment
from kaireon_application.errors import Conflict, InvalidInput, NotFound
from kaireon_application.platform.identity import new_ids
from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import Jobs, JobSummons, NewJob
from kaireon_core.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Enroll:
    """The use case; one per process."""

    entities: Entities
    shelf: EnrollmentShelf
    jobs: Jobs
    now_ms: Callable[[], int]

    async def __call__(self, tenant_id: UUID, reference: str, form: EnrollForm) -> Enrolled | UUID:
        """Enrol customers, or queue the job that enrols a segment and return its id.

        Raises `NotFound`, `InvalidInput`, and `Conflict` unless the journey is active.
        """
        async with self.entities.reading(tenant_id) as reader:
            journey = await require(reader, KIND, reference)
            refuse(InvalidInput, _problems(form))
            segment_id = None if form.segment_id is None else (await reader.find("segment", [form.segment_id]))
        require_active(journey)
        if segment_id is None:
            return await self.enroll(tenant_id, journey, _listed(form), form.attributes)
        if form.segment_id not in segment_id:
            raise NotFound.reference("$.segmentId", "there is no such segment")
        payload = {"journeyId": str(journey.id), "segmentId": str(segment_id[form.segment_id].id)}
        return await self.jobs.enqueue(
            tenant_id,
            NewJob(
                queue=Queue.JOURNEY,
                type=ENROLL_SEGMENT_JOB,
                payload={**payload, "attributes": form.attributes},
                dedupe_key=f"{ENROLL_SEGMENT_JOB}:{payload['journeyId']}:{payload['segmentId']}",
            ),
        )

    async def enroll(
        self, tenant_id: UUID, journey: Entity, customer_ids: Sequence[str], attributes: dict[str, Any]
    ) -> Enrolled:
        """Enrol these customers in an active journey, but for those who are in it already."""
        entry = graph_of(journey.body).entry
        assert entry is not None, journey.key  # noqa: S101 - an active journey has one
        new = [
            NewEnrollment(
                id=id_,
                journey_id=str(journey.id),
                customer_id=customer_id,
                node_id=entry.id,
                max_days=journey.body["maxDurationDays"],
                context={"attributes": attributes},
            )
            for id_, customer_id in zip(new_ids(self.now_ms(), len(customer_ids)), customer_ids, strict=True)
        ]
        written, job_ids = await self.shelf.enroll(tenant_id, new)
        for job_id in job_ids:
            await self.jobs.summon(JobSummons(queue=Queue.JOURNEY, tenant_id=tenant_id, job_id=job_id))
        return Enrolled(
            journey_id=journey.id,
            journey_name=journey.name,
            enrolled=len(written),
            skipped=len(new) - len(written),
            enrollment_ids=written,
        )


def require_active(journey: Entity) -> None:
    """Raise `Conflict` for a journey that nobody may enter now."""
    if journey.status != "active":
        message = f"journey {journey.key!r} is {journey.status}: only an active one can be entered"
        raise Conflict(message)


def _listed(form: EnrollForm) -> list[str]:
    given = [form.customer_id] if form.customer_id is not None else form.customer_ids or []
    return list(dict.fromkeys(given))


def _problems(form: EnrollForm) -> Iterator[Problem]:
    given = [one for one in (form.customer_id, form.customer_ids, form.segment_id) if one is not None]
    if len(given) != 1:
        yield Problem(path="$", message="send one of customerId, customerIds and segmentId")
