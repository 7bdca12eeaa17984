"""A worker without Celery: it asks the book of jobs what is due, so an idle one costs the broker next to nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from kaireon_application.errors import Unavailable
from kaireon_application.platform.job import JobHandler, Queue
from kaireon_application.platform.job_announcements import AnnouncementTerms
from kaireon_application.platform.job_runner import JobRunner, LeaseTerms
from kaireon_application.platform.jobs import JobSummons
from kaireon_runtime import catalogue
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.tracing import open_tracing
from kaireon_storage.broker.address import BrokerAddress, parse_broker_url
from kaireon_storage.broker.inbox import BrokerInbox
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.jobs import PostgresDueJobs, PostgresJobStore
from kaireon_worker.burial import bury_message
from kaireon_worker.handler_thread import execute_apart
from kaireon_worker.helping import Helping
from kaireon_worker.poison import judge
from kaireon_worker.settings import Settings
from kaireon_worker.table_gauges import TableGauges
from kaireon_worker.watcher import LoggingWatcher

_QUEUES = tuple(queue.value for queue in Queue)
# What is told to stop hands its jobs back, and is gone after this time.
_STOP_SECONDS = 18.0
# Somebody may have been told of a job already; a claim settles who has it.
_ANY_DUE = AnnouncementTerms(queued_again_seconds=0.0, lapsed_again_seconds=0.0)
_SWEPT_AT_ONCE = 50


class PollTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How often to look when nobody says that there is something, in seconds."""

    interval_seconds: float = 1.0
    # The broker's queues hold what producers sent that know of no worker like this one.
    broker_interval_seconds: float = 180.0


class DrainLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When to stop although jobs are waiting."""

    seconds: float
    job_count: int


class PollingWorker:
    """Runs due jobs, so many at once, in the event loop that it is built in."""

    def __init__(
        self,
        database: Database,
        inbox: BrokerInbox,
        runner: JobRunner,
        helping: Helping,
        slot_count: int,
        metrics: Metrics,
        terms: PollTerms | None = None,
    ) -> None:
        self._inbox = inbox
        self._due = PostgresDueJobs(database)
        self._gauges = TableGauges(database, metrics)
        self._runner = runner
        self._helping = helping
        self._slot_count = slot_count
        self._metrics = metrics
        self._terms = terms or PollTerms()
        self._log = logger("kaireon.worker")
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._swept_at = -float("inf")

    def poke(self) -> None:
        """Look now: somebody has queued a job."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Run what is due until told to stop, then hand back what runs."""
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            self._wake.clear()
            await self._round()
            waking = asyncio.create_task(self._wake.wait())
            await asyncio.wait(
                (stopping, waking), timeout=self._terms.interval_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            waking.cancel()
        self._log.info("stopping: jobs that run are handed back")
        await self._hand_back()

    async def drain(self, limits: DrainLimits) -> bool:
        """Run what is due until nothing is, or a limit is reached; return whether nothing was left over.

        Raises `Unavailable` while Postgres is away.
        """
        deadline, left = time.monotonic() + limits.seconds, limits.job_count
        await self._sweep()
        while left > 0 and time.monotonic() < deadline:
            self._wake.clear()
            taken = await self._take(left)
            left -= taken
            if not taken and not self._running:
                return True
            await self._wait(deadline - time.monotonic())
        if self._running:
            await asyncio.wait(self._running.values(), timeout=max(deadline - time.monotonic(), 0))
        await self._hand_back()
        return False

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), max(seconds, 0))
        except TimeoutError:
            return

    async def _round(self) -> None:
        try:
            await self._gauges.look()
            await self._sweep()
            await self._take(self._slot_count)
            if not self._running:
                await self._helping.look()
        except Unavailable:
            self._log.warning("due jobs cannot be read: Postgres cannot be reached")
        except Exception as error:  # noqa: BLE001 - the outermost loop of this process: it has to go on
            self._metrics.add(catalogue.UNEXPECTED_ERRORS, "worker")
            self._log.error("looking for due jobs failed", exc_info=error)

    async def _take(self, most: int) -> int:
        free = min(self._slot_count - len(self._running), most)
        if free <= 0:
            return 0
        summons = await self._due.take_due((), msgspec.structs.replace(_ANY_DUE, batch_count=free))
        # What was taken a moment ago may not be claimed yet.
        fresh = [one for one in summons if one.job_id not in self._running]
        for one in fresh:
            self._running[one.job_id] = asyncio.create_task(self._look(one))
        return len(fresh)

    async def _look(self, summons: JobSummons) -> None:
        try:
            await self._runner.run(summons.tenant_id, summons.job_id)
        except Unavailable:
            self._log.warning("a job could not be looked at: Postgres cannot be reached", job_id=str(summons.job_id))
            await asyncio.sleep(self._terms.interval_seconds)
        finally:
            del self._running[summons.job_id]
            self._wake.set()

    async def _sweep(self) -> None:
        """Empty the broker's queues, now and then: whatever a message is about, the book of jobs has it."""
        if time.monotonic() - self._swept_at < self._terms.broker_interval_seconds:
            return
        self._swept_at = time.monotonic()
        await self._due.bury_unknown_queues(_QUEUES)
        items = await self._inbox.take(_QUEUES, 1)
        while items:
            for item in items:
                poison = judge(item.queue, item.content)
                if poison is not None:
                    await bury_message(self._due, poison, self._metrics)
            items = await self._inbox.take(_QUEUES, _SWEPT_AT_ONCE)

    async def _hand_back(self) -> None:
        self._runner.drain()
        self._helping.drain()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=_STOP_SECONDS)
        await self._helping.ended(_STOP_SECONDS)


@asynccontextmanager
async def polling_worker(
    settings: Settings,
    handlers: Mapping[str, JobHandler],
    metrics: Metrics,
    watcher: LoggingWatcher | None = None,
    lease_terms: LeaseTerms | None = None,
) -> AsyncGenerator[PollingWorker]:
    """Open a worker and what it needs; close them at the end."""
    database = Database(
        settings.database_url, max_connections=settings.worker_concurrency + 2, application_name="kaireon-worker"
    )
    inbox, tracing = BrokerInbox(_broker(settings)), open_tracing("worker", settings)
    await database.open()
    try:
        runner = JobRunner(
            PostgresJobStore(database),
            handlers,
            watcher or LoggingWatcher(metrics, frozenset(handlers)),
            execute_apart,
            lease_terms,
            tracing,
        )
        terms = PollTerms(interval_seconds=settings.worker_poll_seconds)
        helping = Helping(database, runner, handlers, metrics, lease_terms)
        yield PollingWorker(database, inbox, runner, helping, settings.worker_concurrency, metrics, terms)
    finally:
        await inbox.close()
        await database.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)


def _broker(settings: Settings) -> BrokerAddress | None:
    """Return the broker, None where there is only a Cluster, which nobody can send messages to."""
    if settings.celery_broker_url is None and "cluster" in settings.redis_url.partition(":")[0]:
        return None
    return parse_broker_url(settings.broker_url)
