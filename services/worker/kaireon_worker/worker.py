"""A worker process: Celery's consumer in the main thread, the office beside it, one thread per running job."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from celery import signals

from kaireon_application.platform.job import JobHandler
from kaireon_application.platform.job_announcements import AnnouncementTerms
from kaireon_application.platform.job_runner import LeaseTerms
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics
from kaireon_storage.broker.address import parse_broker_url
from kaireon_worker.app import build_celery
from kaireon_worker.office import Office
from kaireon_worker.settings import Settings
from kaireon_worker.transport import transport_for

# A worker that was told to stop is gone after this time, whatever its handlers do: their leases lapse.
_STOP_SECONDS = 18.0


class JobWorker:
    """Consumes every queue until SIGTERM, and then hands back what it runs."""

    def __init__(self, settings: Settings, office: Office) -> None:
        """Wire the consumer to the office."""
        address = parse_broker_url(settings.broker_url)
        self._office = office
        self._settings = settings
        self._log = logger("kaireon.worker")
        self._app = build_celery(address, office.look, transport_for(address.url, office.bury))

    def run(self) -> int:
        """Work until SIGTERM or SIGINT; return the exit code. For the main thread: it takes over the signals."""
        signals.setup_logging.connect(_leave_logging_alone)
        signals.worker_ready.connect(self._ready)
        signals.worker_shutting_down.connect(self._stop)
        self._office.open()
        try:
            worker = self._app.Worker(
                pool="threads",
                concurrency=self._settings.worker_concurrency,
                quiet=True,
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
            )
            worker.start()
        finally:
            self._office.close()
        return int(worker.exitcode or 0)

    def _ready(self, **_: Any) -> None:
        self._log.info("ready", concurrency=self._settings.worker_concurrency)

    def _stop(self, **_: Any) -> None:
        self._log.info("stopping: jobs that run are handed back")
        self._office.drain()
        limit = threading.Timer(_STOP_SECONDS, os._exit, args=(1,))
        limit.daemon = True
        limit.start()


def build_worker(
    settings: Settings,
    handlers: Mapping[str, JobHandler],
    metrics: Metrics | None = None,
    lease_terms: LeaseTerms | None = None,
    announcement_terms: AnnouncementTerms | None = None,
) -> JobWorker:
    """Return a worker that does jobs of these types; nothing is opened before `run`."""
    return JobWorker(settings, Office(settings, handlers, metrics or Metrics(), lease_terms, announcement_terms))


def _leave_logging_alone(**_: Any) -> None:
    """Keep Celery from configuring logs: the process has done it."""
