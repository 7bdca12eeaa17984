"""How many jobs wait in each queue, and for how long, in metrics."""

from __future__ import annotations

import time

from kaireon_application.platform.job import Queue
from kaireon_runtime import catalogue
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.jobs import PostgresDueJobs, WaitingJobs

_INTERVAL_SECONDS = 10.0
_NONE = WaitingJobs(waiting=0, age_seconds=0.0)


class QueueGauges:
    """Measures at most every ten seconds, however often it is asked to."""

    def __init__(self, due: PostgresDueJobs, metrics: Metrics) -> None:
        self._due = due
        self._metrics = metrics
        self._measured_at = -float("inf")

    async def look(self) -> None:
        """Measure, unless that was done a moment ago. Raises `Unavailable`."""
        if time.monotonic() - self._measured_at < _INTERVAL_SECONDS:
            return
        self._measured_at = time.monotonic()
        waiting = await self._due.waiting()
        for queue in Queue:
            found = waiting.get(queue.value, _NONE)
            self._metrics.set(catalogue.JOBS_WAITING, found.waiting, queue.value)
            self._metrics.set(catalogue.JOB_QUEUE_AGE, found.age_seconds, queue.value)
