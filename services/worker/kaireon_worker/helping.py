"""What a worker does that has no job: it helps another one with a batch run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

from kaireon_application.errors import Unavailable
from kaireon_application.platform.job import JobHandler
from kaireon_application.platform.job_runner import JobRunner, Lease, LeaseTerms, Progress
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.run_helpers import PostgresRunHelpers
from kaireon_worker.handler_thread import execute_apart
from kaireon_worker.watcher import LoggingWatcher


class Helping:
    """Helps with one run at a time, beside the worker's slots and only while all of them are free.

    A job that comes meanwhile starts at once; the helping ends with the customers in hand.
    """

    def __init__(
        self,
        database: Database,
        jobs: JobRunner,
        handlers: Mapping[str, JobHandler],
        metrics: Metrics,
        lease_terms: LeaseTerms | None = None,
    ) -> None:
        """Help whenever this runner of jobs is idle."""
        self._helpers = _WhileIdle(database, jobs)
        self._jobs = jobs
        self._log = logger("kaireon.worker")
        watcher = LoggingWatcher(metrics, frozenset(handlers))
        self._runner = JobRunner(self._helpers, handlers, watcher, execute_apart, lease_terms)
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Begin to help where that is wanted and there is nothing else to do. Raises `Unavailable`."""
        if not self._jobs.is_idle or (self._task is not None and not self._task.done()):
            return
        found = await self._helpers.find()
        if found is not None:
            self._task = asyncio.create_task(self._help(*found))

    def drain(self) -> None:
        """Leave the run, help no more."""
        self._runner.drain()

    async def ended(self, seconds: float) -> None:
        """Wait until the run is left, at most so long."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)

    async def _help(self, tenant_id: UUID, run_id: UUID) -> None:
        try:
            await self._runner.run(tenant_id, run_id)
        except Unavailable:
            self._log.warning("a batch run cannot be helped: Postgres cannot be reached", job_id=str(run_id))


class _WhileIdle(PostgresRunHelpers):
    """Asks a helper to end as soon as the worker has a job."""

    def __init__(self, database: Database, jobs: JobRunner) -> None:
        super().__init__(database)
        self._jobs = jobs

    async def renew(self, lease: Lease, progress: Progress, lease_seconds: float) -> bool | None:
        is_over = await super().renew(lease, progress, lease_seconds)
        return None if is_over is None else is_over or not self._jobs.is_idle
