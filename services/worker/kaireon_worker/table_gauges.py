"""What tables hold, in metrics: how many jobs wait, and whether answers kept to caps."""

from __future__ import annotations

import time

from kaireon_application.platform.job import Queue
from kaireon_runtime import catalogue
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.cap_violations import PostgresCapViolations
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.jobs import PostgresDueJobs, WaitingJobs

_INTERVAL_SECONDS = 10.0
_NONE = WaitingJobs(waiting=0, age_seconds=0.0)


class TableGauges:
    """Measures at most every ten seconds, however often it is asked to."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._due = PostgresDueJobs(database)
        self._violations = PostgresCapViolations(database)
        self._metrics = metrics
        self._measured_at = -float("inf")

    async def look(self) -> None:
        """Measure, unless that was done a moment ago. Raises `Unavailable`."""
        if time.monotonic() - self._measured_at < _INTERVAL_SECONDS:
            return
        self._measured_at = time.monotonic()
        await self._look_at_queues()
        await self._look_at_caps()

    async def _look_at_queues(self) -> None:
        waiting = await self._due.waiting()
        for queue in Queue:
            found = waiting.get(queue.value, _NONE)
            self._metrics.set(catalogue.JOBS_WAITING, found.waiting, queue.value)
            self._metrics.set(catalogue.JOB_QUEUE_AGE, found.age_seconds, queue.value)

    async def _look_at_caps(self) -> None:
        found = await self._violations.read()
        for rule_type, count in found.counts.items():
            self._metrics.set_total(catalogue.CAP_VIOLATIONS, count, rule_type)
        if found.lag_seconds is not None:
            self._metrics.set(catalogue.CAP_CHECK_LAG, found.lag_seconds)
