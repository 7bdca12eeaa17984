"""A batch run on the wire: its job, and what it has decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.decisioning.decision_run import RunSummary
from kaireon_application.decisioning.run_terms import RunTerms
from kaireon_application.errors import Conflict, NotFound
from kaireon_application.platform.job import JobStatus
from kaireon_application.platform.jobs import JobAnswer, JobRecord, answer

_UNDECIDED = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is stored; `job.total` is the number of its customers."""

    job: JobRecord
    summary: RunSummary | None
    definition_id: UUID | None = None
    run_number: int | None = None
    due_at: datetime | None = None
    terms: RunTerms = RunTerms()


class RunReader(Protocol):
    """Reads runs. Every method raises `Unavailable` while the store is down."""

    async def get(self, tenant_id: UUID, run_id: UUID) -> RunRecord | None:
        """Return a run of this tenant, or None."""
        ...

    async def lines(self, tenant_id: UUID, run_id: UUID, after_place: int, count: int) -> list[tuple[int, str]]:
        """Return (place, JSON) of at most so many results, in order, after a place (-1: from the first)."""
        ...


class RunAnswer(JobAnswer, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A run: everything about its job, then of which campaign it is (null for /decide), and what it has decided.

    `summary` is null before every customer is decided.
    """

    job_id: UUID
    definition_id: UUID | None
    run_number: int | None
    due_at: datetime | None
    summary: RunSummary | None
    execution_seconds: float | None
    results_url: str


class RunAccepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The answer to a call that queued a run, or asked one that runs to end."""

    run_id: UUID
    job_id: UUID
    status_url: str


def run_accepted(run_id: UUID) -> RunAccepted:
    """Return the answer to a call that queued a run."""
    return RunAccepted(run_id=run_id, job_id=run_id, status_url=f"/api/v1/runs/{run_id}")


def run_answer(record: RunRecord, now: datetime) -> RunAnswer:
    """Return a run as the wire shows it at an instant; one in the dead-letter list has failed."""
    job = answer(record.job, now)
    parts: dict[str, Any] = msgspec.structs.asdict(job)
    if job.status == JobStatus.DEAD:
        parts["status"] = JobStatus.FAILED
    return RunAnswer(
        **parts,
        job_id=job.id,
        definition_id=record.definition_id,
        run_number=record.run_number,
        due_at=record.due_at,
        summary=record.summary,
        execution_seconds=_seconds(record.job),
        results_url=f"/api/v1/runs/{job.id}/results",
    )


async def find_run(reader: RunReader, tenant_id: UUID, reference: str) -> RunRecord:
    """Return a run of this tenant. Raises `NotFound`."""
    try:
        record = await reader.get(tenant_id, UUID(reference))
    except ValueError:
        record = None
    if record is None:
        raise NotFound(f"no batch run {reference!r} in this tenant")
    return record


def require_results(record: RunRecord) -> None:
    """Raise `Conflict` while results may still come."""
    if record.job.status in _UNDECIDED:
        raise Conflict(f"batch run {record.job.id} is {record.job.status}: its results can be read when it is over")


def _seconds(job: JobRecord) -> float | None:
    if job.started_at is None or job.finished_at is None:
        return None
    return (job.finished_at - job.started_at).total_seconds()
