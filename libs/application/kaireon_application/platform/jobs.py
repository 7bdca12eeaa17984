"""Jobs as their owner sees them: asked for, looked at, cancelled."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import msgspec

from kaireon_application.errors import Conflict, NotFound, Unavailable
from kaireon_application.platform.job import JobStatus, Queue


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be queued; a second one with the same `dedupe_key` is refused while the first is not over."""

    queue: Queue
    type: str
    payload: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    dedupe_key: str | None = None


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A job's row. `queue` is text because anybody with SQL may have written the row."""

    id: UUID
    queue: str
    type: str
    status: JobStatus
    attempts: int
    processed: int
    total: int | None
    error: Any
    result: Any
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a tenant's jobs, newest first; `has_more` tells whether another follows."""

    records: tuple[JobRecord, ...]
    total: int
    has_more: bool


class JobPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page ended."""

    created_at: datetime
    id: UUID


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs of a tenant to list."""

    limit: int
    status: JobStatus | None = None
    queue: Queue | None = None
    after: JobPosition | None = None


class JobSummons(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker message says: look at this job."""

    queue: str
    tenant_id: UUID
    job_id: UUID


class JobBook(Protocol):
    """Rows of jobs. Every method raises `Unavailable` while the store is down."""

    async def insert(self, tenant_id: UUID, job_id: UUID, new: NewJob) -> None:
        """Write a queued job. Raises `Conflict` when one with its dedupe key is queued or running."""
        ...

    async def get(self, tenant_id: UUID, job_id: UUID) -> JobRecord | None:
        """Return the job, or None when this tenant has none such."""
        ...

    async def list(self, tenant_id: UUID, query: JobQuery) -> JobPage:
        """Return one page of jobs."""
        ...

    async def cancel(self, tenant_id: UUID, job_id: UUID) -> JobRecord | None:
        """Cancel a job that nobody runs, ask a running one to end; return it as it then is."""
        ...

    async def forget_announcement(self, summons: tuple[JobSummons, ...]) -> None:
        """Make jobs look unannounced, because their messages could not be sent."""
        ...


class JobAnnouncer(Protocol):
    """Sends broker messages; a job is found without one too, only later."""

    async def announce(self, summons: JobSummons) -> bool:
        """Send one message within a bounded time; False (never an error) when the broker cannot be reached."""
        ...

    async def backlog_count(self, queue: str) -> int | None:
        """Return how many messages wait in a queue, or None when the broker cannot be reached."""
        ...


class Jobs:
    """Asks for jobs, reads them and cancels them."""

    def __init__(self, book: JobBook, announcer: JobAnnouncer) -> None:
        """Work on these rows and this broker."""
        self._book = book
        self._announcer = announcer

    async def enqueue(self, tenant_id: UUID, new: NewJob) -> UUID:
        """Queue a job and return its id; with the broker down a worker finds the row by itself.

        Raises `Conflict` when a job with the same dedupe key is not over yet.
        """
        job_id = uuid4()
        await self._book.insert(tenant_id, job_id, new)
        await self.summon(JobSummons(queue=new.queue, tenant_id=tenant_id, job_id=job_id))
        return job_id

    async def summon(self, summons: JobSummons) -> None:
        """Tell a worker to look at a job whose row was just written."""
        if not await self._announcer.announce(summons):
            # The row is written, so the job is accepted, whatever happens now: it is found without this, only later.
            with suppress(Unavailable):
                await self._book.forget_announcement((summons,))

    async def get(self, tenant_id: UUID, job_id: UUID) -> JobRecord:
        """Return a job. Raises `NotFound`."""
        record = await self._book.get(tenant_id, job_id)
        if record is None:
            raise NotFound(f"no job {job_id} in this tenant")
        return record

    async def list(self, tenant_id: UUID, query: JobQuery) -> JobPage:
        """Return one page of jobs, newest first."""
        return await self._book.list(tenant_id, query)

    async def cancel(self, tenant_id: UUID, job_id: UUID) -> JobRecord:
        """Cancel a job; one that runs ends at its next report. Raises `NotFound`, `Conflict` when it is over."""
        record = await self._book.cancel(tenant_id, job_id)
        if record is None:
            raise NotFound(f"no job {job_id} in this tenant")
        if record.status not in {JobStatus.CANCELLED, JobStatus.RUNNING}:
            raise Conflict(f"job {job_id} is {record.status} already")
        return record


class JobProgress(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How far a job is; the rate is per second since its first start, null before anything can be said."""

    processed: int
    total: int | None
    rate_per_second: float | None
    eta_seconds: float | None


class JobFailure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why the last attempt failed."""

    code: str
    message: str


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A job on the wire."""

    id: UUID
    queue: str
    type: str
    status: JobStatus
    attempts: int
    progress: JobProgress
    error: JobFailure | None
    result: Any
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobAccepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What every 202 answers."""

    job_id: UUID
    status_url: str


def accepted(job_id: UUID) -> JobAccepted:
    """Return the answer to a call that queued a job."""
    return JobAccepted(job_id=job_id, status_url=f"/api/v1/jobs/{job_id}")


def answer(record: JobRecord, now: datetime) -> JobAnswer:
    """Return a job as the wire shows it at an instant."""
    return JobAnswer(
        id=record.id,
        queue=record.queue,
        type=record.type,
        status=record.status,
        attempts=record.attempts,
        progress=_progress(record, now),
        error=_failure(record.error),
        result=record.result,
        created_at=record.created_at.astimezone(UTC),
        started_at=record.started_at,
        finished_at=record.finished_at,
    )


def _progress(record: JobRecord, now: datetime) -> JobProgress:
    rate = None
    if record.started_at is not None and record.processed > 0:
        elapsed_seconds = ((record.finished_at or now) - record.started_at).total_seconds()
        rate = round(record.processed / elapsed_seconds, 3) if elapsed_seconds > 0 else None
    return JobProgress(
        processed=record.processed, total=record.total, rate_per_second=rate, eta_seconds=_eta_seconds(record, rate)
    )


def _eta_seconds(record: JobRecord, rate: float | None) -> float | None:
    if record.status == JobStatus.COMPLETED:
        return 0.0
    if record.status != JobStatus.RUNNING or record.total is None or not rate:
        return None
    return round(max(record.total - record.processed, 0) / rate, 3)


def _failure(error: Any) -> JobFailure | None:
    if error is None:
        return None
    try:
        return msgspec.convert(error, JobFailure)
    except msgspec.ValidationError:
        return JobFailure(code="unknown", message=str(error))
