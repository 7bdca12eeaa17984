"""One attempt at a job: take the lease, run the handler beside a heartbeat, write down how it ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID, uuid4

import msgspec

from kaireon_application.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    KaireonError,
    NotFound,
    Unavailable,
    Unprocessable,
)
from kaireon_application.platform.job import (
    Job,
    JobCancelled,
    JobHandler,
    JobRefused,
    JobRun,
    JobStatus,
    JobUndecodable,
    LeaseLost,
    Queue,
)
from kaireon_application.platform.probation import Probation
from kaireon_runtime.origin import Origin, work_for
from kaireon_runtime.tracing import Tracing, spanning

# These verdicts stay the same however often the job is tried.
_VERDICTS = (InvalidInput, NotFound, Conflict, Unprocessable, Forbidden)


class LeaseTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How long a lease holds and how failed attempts are spaced, in seconds."""

    lease_seconds: float = 15.0
    heartbeat_seconds: float = 5.0
    # Progress is written at most this often; what was reported last is always written at the end.
    progress_seconds: float = 0.5
    retry_base_seconds: float = 2.0
    retry_cap_seconds: float = 300.0
    # How long a handler may take to end once it is cancelled.
    cancel_grace_seconds: float = 8.0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to run one job; the row carries `token` for as long as it holds."""

    tenant_id: UUID
    job_id: UUID
    token: UUID


class ClaimedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job's row as its claim left it; `status` may be final (cancelled, or dead after too many lost workers)."""

    queue: str
    type: str
    payload: Any
    status: JobStatus
    attempts: int
    max_attempts: int
    processed: int
    total: int | None
    # The trace of the request that asked for it.
    traceparent: str | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an attempt is."""

    processed: int
    total: int | None


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended: a final status, or `queued` again after a delay."""

    status: JobStatus
    error: dict[str, str] | None = None
    result: dict[str, Any] | None = None
    retry_after_seconds: float = 0.0
    is_attempt_counted: bool = True


class JobStore(Protocol):
    """Leases on the rows of jobs. Every method raises `Unavailable` while the store is down."""

    async def has_lost_worker(self, tenant_id: UUID, job_id: UUID) -> bool:
        """Return whether the job's last attempt ended without a word, and nobody has taken it up since."""
        ...

    async def claim(self, lease: Lease, lease_seconds: float) -> ClaimedJob | None:
        """Take the lease of a due job, or return None when it is not due, over, or somebody holds its lease."""
        ...

    async def renew(self, lease: Lease, progress: Progress, lease_seconds: float) -> bool | None:
        """Renew the lease and write progress; return whether cancelling was asked for, None when the lease is lost."""
        ...

    async def settle(self, lease: Lease, progress: Progress, settlement: Settlement) -> bool:
        """End the attempt; False when the lease was lost, and then nothing is written."""
        ...


# Runs a handler; a worker gives it an event loop of its own, so that no handler can hold up the heartbeats.
HandlerExecutor = Callable[[JobHandler, JobRun], Awaitable[dict[str, Any]]]


class JobWatcher(Protocol):
    """Is told how attempts go, for logs and metrics; must not raise."""

    def started(self, job: Job) -> None:
        """An attempt starts."""
        ...

    def ended(self, job: Job, outcome: str, error: BaseException | None) -> None:
        """An attempt ended; `outcome` is the job's new status, or `lease_lost`."""
        ...


class _LeasedRun:
    """The attempt, as its handler and its heartbeat share it."""

    def __init__(self, store: JobStore, lease: Lease, job: Job, claimed: ClaimedJob, terms: LeaseTerms) -> None:
        self._store = store
        self._lease = lease
        self._job = job
        self._terms = terms
        self._written_at = -float("inf")
        self.progress = Progress(processed=claimed.processed, total=claimed.total)
        self.is_cancel_requested = False
        self.is_lost = False

    @property
    def job(self) -> Job:
        return self._job

    @property
    def lease_token(self) -> UUID:
        return self._lease.token

    async def report(self, processed: int, total: int | None) -> None:
        self.progress = Progress(processed=processed, total=total)
        if asyncio.get_running_loop().time() - self._written_at >= self._terms.progress_seconds:
            # A store that is down for a moment is the heartbeat's business; progress can wait.
            with suppress(Unavailable):
                await self.renew()
        if self.is_lost:
            raise LeaseLost
        if self.is_cancel_requested:
            raise JobCancelled

    async def renew(self) -> None:
        self._written_at = asyncio.get_running_loop().time()
        answer = await self._store.renew(self._lease, self.progress, self._terms.lease_seconds)
        self.is_lost = answer is None
        self.is_cancel_requested = bool(answer)

    async def keep_alive(self) -> None:
        """Renew the lease until it is lost; a store that is down for a whole lease loses it too."""
        clock = asyncio.get_running_loop()
        renewed_at = clock.time()
        while not self.is_lost and clock.time() - renewed_at < self._terms.lease_seconds:
            await asyncio.sleep(self._terms.heartbeat_seconds)
            try:
                await self.renew()
            except Unavailable:
                continue
            renewed_at = clock.time()
        self.is_lost = True


class JobRunner:
    """Runs jobs under leases; one instance serves every slot of a process."""

    def __init__(
        self,
        store: JobStore,
        handlers: Mapping[str, JobHandler],
        watcher: JobWatcher,
        execute: HandlerExecutor,
        terms: LeaseTerms | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """Run jobs of these types; any other type goes to the dead-letter list."""
        self._store = store
        self._handlers = handlers
        self._watcher = watcher
        self._execute = execute
        self._terms = terms or LeaseTerms()
        self._tracing = tracing
        self._draining = asyncio.Event()
        self._probation = Probation(self._terms.lease_seconds)

    @property
    def is_idle(self) -> bool:
        """Whether it runs no job."""
        return self._probation.is_empty

    def drain(self) -> None:
        """Hand every job back: its handler is cancelled and it is queued again, this attempt not counted."""
        self._draining.set()

    async def run(self, tenant_id: UUID, job_id: UUID) -> None:
        """Look at a job and, when it is due and free, run it to an end. Raises `Unavailable` before any work only."""
        is_suspect = await self._store.has_lost_worker(tenant_id, job_id)
        async with self._probation.place(is_suspect=is_suspect):
            await self._run(tenant_id, job_id)

    async def _run(self, tenant_id: UUID, job_id: UUID) -> None:
        if self._draining.is_set():
            return
        lease = Lease(tenant_id=tenant_id, job_id=job_id, token=uuid4())
        claimed = await self._store.claim(lease, self._terms.lease_seconds)
        if claimed is None or claimed.status != JobStatus.RUNNING:
            return
        names = {"kaireon.queue": claimed.queue, "kaireon.job_type": claimed.type, "kaireon.job_id": str(job_id)}
        with spanning(self._tracing, f"job {claimed.type}", "consumer", claimed.traceparent, names) as trace:
            work_for(Origin(tenant_id=tenant_id, job_id=job_id, traces=() if trace is None else (trace,)))
            outcome = await self._attempt(lease, claimed)
            if trace is not None:
                attempt = {"kaireon.attempt": claimed.attempts, "kaireon.tenant_id": str(tenant_id)}
                trace.tell({**attempt, "kaireon.outcome": outcome}, is_failed=outcome != JobStatus.COMPLETED)

    async def _attempt(self, lease: Lease, claimed: ClaimedJob) -> str:
        is_object = isinstance(claimed.payload, dict)
        job = Job(
            id=lease.job_id,
            tenant_id=lease.tenant_id,
            queue=Queue(claimed.queue),
            type=claimed.type,
            payload=claimed.payload if is_object else {},
            attempt=claimed.attempts,
        )
        run = _LeasedRun(self._store, lease, job, claimed, self._terms)
        self._watcher.started(job)
        heartbeat = asyncio.ensure_future(run.keep_alive())
        try:
            if not is_object:
                settlement, error = _dead("undecodable_payload", "the payload is not a JSON object"), None
            else:
                settlement, error = await self._supervise(run, heartbeat, claimed)
            outcome = await self._settle(lease, run, settlement) if settlement is not None else "lease_lost"
            self._watcher.ended(job, outcome, error)
            return outcome
        finally:
            heartbeat.cancel()

    async def _supervise(
        self, run: _LeasedRun, heartbeat: asyncio.Future[None], claimed: ClaimedJob
    ) -> tuple[Settlement | None, BaseException | None]:
        handler = self._handlers.get(run.job.type)
        if handler is None:
            return _dead("unknown_type", f"no handler for jobs of type {run.job.type!r}"), None
        work = asyncio.ensure_future(self._execute(handler, run))
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({work, heartbeat, draining}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            draining.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=self._terms.cancel_grace_seconds)
            if run.is_lost or not work.done():
                # A handler that does not end keeps its lease until it lapses: nobody else may start meanwhile.
                return None, None
        return self._judge(work, claimed)

    def _judge(
        self, work: asyncio.Future[dict[str, Any]], claimed: ClaimedJob
    ) -> tuple[Settlement | None, BaseException | None]:
        if work.cancelled():
            # Handed back at a shutdown this was nobody's failure; otherwise the handler ended for reasons of its own.
            if self._draining.is_set():
                return Settlement(status=JobStatus.QUEUED, is_attempt_counted=False), None
            return self._retry(RuntimeError("the handler was cancelled"), claimed), None
        error = work.exception()
        if error is None:
            return self._completed(work.result(), claimed)
        return self._verdict(error, claimed), error

    def _completed(self, result: dict[str, Any], claimed: ClaimedJob) -> tuple[Settlement | None, BaseException | None]:
        try:
            return Settlement(status=JobStatus.COMPLETED, result=_storable(result)), None
        except (TypeError, ValueError) as error:
            return self._retry(error, claimed), error

    def _verdict(self, error: BaseException, claimed: ClaimedJob) -> Settlement | None:
        match error:
            case LeaseLost():
                return None
            case JobCancelled():
                return Settlement(status=JobStatus.CANCELLED)
            case JobRefused():
                return Settlement(status=JobStatus.FAILED, error=_error(error.failure_code, error.message))
            case JobUndecodable():
                return _dead("undecodable_payload", error.message)
            case KaireonError() if isinstance(error, _VERDICTS):
                return Settlement(status=JobStatus.FAILED, error=_error(error.code, error.message))
            case _:
                return self._retry(error, claimed)

    def _retry(self, error: BaseException, claimed: ClaimedJob) -> Settlement:
        code = error.code if isinstance(error, KaireonError) else "INTERNAL"
        message = error.message if isinstance(error, KaireonError) else f"{type(error).__name__}: {error}"
        if claimed.attempts >= claimed.max_attempts:
            return _dead(code, message)
        delay = min(self._terms.retry_base_seconds * 2 ** (claimed.attempts - 1), self._terms.retry_cap_seconds)
        # Jitter keeps the jobs that one outage failed from coming back together.
        spread = random.uniform(0.75, 1.25)  # noqa: S311 - not a secret
        return Settlement(status=JobStatus.QUEUED, error=_error(code, message), retry_after_seconds=delay * spread)

    async def _settle(self, lease: Lease, run: _LeasedRun, settlement: Settlement) -> str:
        # While the heartbeat lives the lease is ours, so a store that is down for a moment costs no second run.
        while True:
            try:
                is_ours = await self._store.settle(lease, run.progress, settlement)
            except Unavailable:
                if run.is_lost or self._draining.is_set():
                    return "lease_lost"
                await asyncio.sleep(1)
                continue
            return settlement.status.value if is_ours else "lease_lost"


def _dead(code: str, message: str) -> Settlement:
    return Settlement(status=JobStatus.DEAD, error=_error(code, message))


def _storable(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result as JSON that Postgres takes: NaN is null, U+0000 is replaced."""
    return msgspec.json.decode(msgspec.json.encode(result).replace(b"\\u0000", b"\\ufffd"))


def _error(code: str, message: str) -> dict[str, str]:
    # Postgres refuses U+0000 in JSON, and an error message must never be why a job cannot be settled.
    return {"code": code, "message": message.replace("\x00", "")[:4000]}
