"""A background job as its handler sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec

from kaireon_application.errors import KaireonError


class Queue(StrEnum):
    """The queues; each is consumed by one file of the worker."""

    BATCH = "batch-jobs"
    DSAR = "dsar-jobs"
    JOURNEY = "journey-jobs"
    RETRAIN = "retrain-jobs"
    DRIFT = "drift-jobs"
    SEED = "seed-jobs"


class JobStatus(StrEnum):
    """Where a job stands; the last four are final, `dead` is in the dead-letter list."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; `attempt` is 1 the first time."""

    id: UUID
    tenant_id: UUID
    queue: Queue
    type: str
    payload: dict[str, Any]
    attempt: int


class JobRun(Protocol):
    """One leased attempt at a job, given to its handler by the worker.

    The lease is renewed beside the handler; when it is lost, the handler is cancelled. To write an effect exactly
    once, write it in a transaction that starts with `kaireon_storage.postgres.jobs.hold_lease(connection, run)`.
    """

    @property
    def job(self) -> Job:
        """The job."""
        ...

    @property
    def lease_token(self) -> UUID:
        """The fencing token of this attempt: the job's row carries it for as long as this attempt owns the job."""
        ...

    async def report(self, processed: int, total: int | None) -> None:
        """Record progress. Raises `JobCancelled` when somebody asked for the job to end."""
        ...


class JobRefused(KaireonError):
    """The job cannot succeed; it fails at once, with this code, and is not tried again."""

    def __init__(self, code: str, message: str) -> None:
        """Carry the code that `GET /jobs/{id}` shows in `error.code`."""
        super().__init__(message)
        self.failure_code = code


class JobUndecodable(KaireonError):
    """The job's payload cannot be decoded; it goes to the dead-letter list at once."""


class JobCancelled(KaireonError):
    """The job was cancelled."""


class LeaseLost(KaireonError):
    """Another worker owns this job now; nothing may be written for this attempt."""


# Does the work of one job type and returns its `result`; must be safe to run again after a crash.
JobHandler = Callable[[JobRun], Awaitable[dict[str, Any]]]

Payload = TypeVar("Payload")


def decode_payload(run: JobRun, payload_type: type[Payload]) -> Payload:
    """Return the job's payload as a struct. Raises `JobUndecodable` with the reason."""
    try:
        return msgspec.convert(run.job.payload, payload_type)
    except msgspec.ValidationError as error:
        raise JobUndecodable(f"{run.job.type}: {error}") from error
