"""The event loop beside the consumer: leases, heartbeats, announcements and the poison that messages carry."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from typing import Any
from uuid import UUID

from kaireon_application.errors import Unavailable
from kaireon_application.platform.job import JobHandler
from kaireon_application.platform.job_announcements import AnnouncementTerms, announce_due_jobs
from kaireon_application.platform.job_runner import JobRunner, LeaseTerms
from kaireon_runtime import catalogue
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.tracing import open_tracing
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.jobs import PoisonMessage, PostgresDueJobs, PostgresJobStore
from kaireon_worker.burial import bury_message
from kaireon_worker.handler_thread import execute_apart
from kaireon_worker.helping import Helping
from kaireon_worker.settings import Settings
from kaireon_worker.table_gauges import TableGauges
from kaireon_worker.watcher import LoggingWatcher

_CLOSE_SECONDS = 5.0


class Office:
    """A thread with the process's event loop. The consumer's threads hand it jobs and wait; handlers run elsewhere."""

    def __init__(
        self,
        settings: Settings,
        handlers: Mapping[str, JobHandler],
        metrics: Metrics,
        lease_terms: LeaseTerms | None = None,
        announcement_terms: AnnouncementTerms | None = None,
    ) -> None:
        """Describe the office; nothing runs before `open`."""
        self._log = logger("kaireon.worker")
        self._metrics = metrics
        self._tracing = open_tracing("worker", settings)
        self._terms = announcement_terms or AnnouncementTerms()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="leases", daemon=True)
        self._database = Database(
            settings.database_url,
            max_connections=settings.worker_concurrency + 3,
            application_name="kaireon-worker",
            pooler=settings.database_pooler,
        )
        self._due = PostgresDueJobs(self._database)
        self._gauges = TableGauges(self._database, metrics)
        self._announcer = BrokerAnnouncer(parse_broker_url(settings.broker_url))
        self._runner = JobRunner(
            PostgresJobStore(self._database),
            handlers,
            LoggingWatcher(metrics, frozenset(handlers)),
            execute_apart,
            lease_terms,
            self._tracing,
        )
        self._helping = Helping(self._database, self._runner, handlers, metrics, lease_terms)
        self._rounds: Future[None] | None = None

    def open(self) -> None:
        """Start the thread, the pool and the rounds of announcements."""
        self._thread.start()
        self._submit(self._database.open()).result()
        self._rounds = self._submit(self._announce_for_ever())

    def look(self, tenant_id: UUID, job_id: UUID) -> None:
        """Run a job to an end of any kind; returns when nothing of it runs here any more. For consumer threads."""
        self._submit(self._look(tenant_id, job_id)).result()

    def bury(self, message: PoisonMessage) -> Future[None]:
        """Keep a message that is no job; the answer comes once it is in the dead-letter list."""
        return self._submit(bury_message(self._due, message, self._metrics))

    def drain(self) -> None:
        """Hand back what runs, take nothing new; returns at once, so that a signal handler may call it."""
        self._loop.call_soon_threadsafe(self._runner.drain)
        self._loop.call_soon_threadsafe(self._helping.drain)

    def close(self) -> None:
        """End the thread and what it holds, within a few seconds."""
        if self._rounds is not None:
            self._rounds.cancel()
        try:
            self._submit(self._release()).result(2 * _CLOSE_SECONDS)
        except TimeoutError:
            self._log.warning("the worker's connections did not close in time")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)

    async def _release(self) -> None:
        self._helping.drain()
        await self._helping.ended(_CLOSE_SECONDS)
        await self._announcer.close()
        await self._database.close()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)

    async def _look(self, tenant_id: UUID, job_id: UUID) -> None:
        try:
            await self._runner.run(tenant_id, job_id)
        except Unavailable:
            # The row is the truth: it is announced again as soon as Postgres answers.
            self._log.warning("a job could not be looked at: Postgres cannot be reached", job_id=str(job_id))

    async def _announce_for_ever(self) -> None:
        while True:
            try:
                await self._gauges.look()
                await announce_due_jobs(self._due, self._announcer, self._terms)
                await self._helping.look()
            except Unavailable:
                self._log.warning("due jobs cannot be announced: Postgres cannot be reached")
            except Exception as error:  # noqa: BLE001 - the outermost loop of this process's rounds: it has to go on
                self._metrics.add(catalogue.UNEXPECTED_ERRORS, "worker")
                self._log.error("announcing due jobs failed", exc_info=error)
            await asyncio.sleep(self._terms.interval_seconds)

    def _submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)
