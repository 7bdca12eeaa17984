"""How attempts at jobs go, in logs and metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import UUID

from kaireon_application.errors import KaireonError
from kaireon_runtime import catalogue
from kaireon_runtime.logs import logger

if TYPE_CHECKING:
    from kaireon_application.platform.job import Job
    from kaireon_runtime.metrics import Metrics


UNKNOWN_TYPE = "unknown"


class LoggingWatcher:
    """Implements `JobWatcher`."""

    def __init__(self, metrics: Metrics, known_types: frozenset[str]) -> None:
        """Count in these metrics; types that nobody knows share one label."""
        self._known_types = known_types
        self._metrics = metrics
        self._log = logger("kaireon.worker")
        self._started_at: dict[UUID, float] = {}

    def started(self, job: Job) -> None:
        """An attempt starts."""
        self._started_at[job.id] = time.monotonic()
        self._metrics.add(catalogue.JOB_ATTEMPTS, job.queue.value, self._label(job))
        self._log.info("job started", **_names(job))

    def ended(self, job: Job, outcome: str, error: BaseException | None) -> None:
        """An attempt ended."""
        seconds = time.monotonic() - self._started_at.pop(job.id, time.monotonic())
        self._metrics.observe(catalogue.JOB_DURATION, seconds, job.queue.value, self._label(job))
        if outcome == "lease_lost":
            self._metrics.add(catalogue.JOB_LEASES_LOST, job.queue.value)
        elif outcome != "queued":
            self._metrics.add(catalogue.JOBS_FINISHED, job.queue.value, self._label(job), outcome)
        if error is not None and not isinstance(error, KaireonError):
            self._metrics.add(catalogue.UNEXPECTED_ERRORS, "worker")
            self._log.error("job attempt failed", **_names(job), outcome=outcome, exc_info=error)
            return
        # The message is in the job's row: it may name a customer.
        reason = {} if error is None else {"code": getattr(error, "failure_code", error.code)}
        self._log.info("job attempt ended", **_names(job), outcome=outcome, seconds=round(seconds, 3), **reason)

    def _label(self, job: Job) -> str:
        return job.type if job.type in self._known_types else UNKNOWN_TYPE


def _names(job: Job) -> dict[str, str | int]:
    return {"queue": job.queue.value, "type": job.type, "attempt": job.attempt}
