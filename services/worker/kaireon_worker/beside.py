"""The worker beside an API: it lives as long as the API, and hears from it when a job was queued."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import msgspec

from kaireon_application.platform.job import Job, JobHandler
from kaireon_runtime.lifecycle import stop_on_signal
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics
from kaireon_worker.polling import DrainLimits, PollingWorker, polling_worker
from kaireon_worker.settings import Settings
from kaireon_worker.watcher import LoggingWatcher


class DrainReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the attempts of one drain ended, and whether nothing that was due is left."""

    processed: int
    completed: int
    failed: int
    dead: int
    cancelled: int
    retried: int
    is_empty: bool


class _CountingWatcher(LoggingWatcher):
    """Counts outcomes too."""

    def __init__(self, metrics: Metrics, known_types: frozenset[str]) -> None:
        super().__init__(metrics, known_types)
        self.outcomes: Counter[str] = Counter()

    def ended(self, job: Job, outcome: str, error: BaseException | None) -> None:
        super().ended(job, outcome, error)
        self.outcomes[outcome] += 1


async def work_beside(settings: Settings, handlers: Mapping[str, JobHandler], metrics: Metrics) -> None:
    """Consume every queue until SIGTERM."""
    with stop_on_signal() as stop:
        async with polling_worker(settings, handlers, metrics) as worker, _listening(settings, worker):
            logger("kaireon.worker").info("ready", concurrency=settings.worker_concurrency)
            await worker.run(stop)


async def drain_queues(
    settings: Settings, handlers: Mapping[str, JobHandler], metrics: Metrics, limits: DrainLimits
) -> DrainReport:
    """Run the jobs that are due now, within limits; those that still run at the end are handed back."""
    watcher = _CountingWatcher(metrics, frozenset(handlers))
    async with polling_worker(settings, handlers, metrics, watcher) as worker:
        is_empty = await worker.drain(limits)
    outcomes = watcher.outcomes
    return DrainReport(
        processed=outcomes.total(),
        completed=outcomes["completed"],
        failed=outcomes["failed"],
        dead=outcomes["dead"],
        cancelled=outcomes["cancelled"],
        retried=outcomes["queued"] + outcomes["lease_lost"],
        is_empty=is_empty,
    )


class _Poked(asyncio.DatagramProtocol):
    def __init__(self, worker: PollingWorker) -> None:
        self._worker = worker

    def datagram_received(self, data: bytes, addr: object) -> None:
        del data, addr
        self._worker.poke()


@asynccontextmanager
async def _listening(settings: Settings, worker: PollingWorker) -> AsyncGenerator[None]:
    """Take pokes at the socket that the API names; without one the interval has to do."""
    path = settings.worker_poke_socket
    if path is None:
        yield
        return
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(0)
        listening.bind(str(path))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Poked(worker), sock=listening)
        try:
            yield
        finally:
            transport.close()
