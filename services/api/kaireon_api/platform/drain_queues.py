"""`POST /cron/drain-queues`: run the jobs that are due, in a process that ends with them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from kaireon_api.cron_gate import DRAIN_PATH
from kaireon_api.operation import Call, Operation, Reply, Role
from kaireon_api.settings import Settings
from kaireon_api.worker_beside import is_worker_installed, step_back, worker_command, worker_environment
from kaireon_application.errors import Unavailable

# Starting a worker, and ending it once it may take nothing more.
_AROUND_SECONDS = 60.0


class DrainCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How many attempts at jobs a drain made and how they ended; `isEmpty` when nothing that was due is left."""

    processed: int
    completed: int
    failed: int
    dead: int
    cancelled: int
    retried: int
    is_empty: bool


class DrainAnswer(DrainCounts, frozen=True, kw_only=True, rename="camel"):
    """What a drain answers."""

    ok: bool = True


class QueueDrain:
    """Drains the queues, once at a time: who asks meanwhile is answered with the drain that is under way."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._drain: asyncio.Task[DrainCounts] | None = None

    async def __call__(self) -> DrainCounts:
        """Return the counts. Raises `Unavailable` when the worker cannot do its work."""
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._run())
        return await asyncio.shield(self._drain)

    async def _run(self) -> DrainCounts:
        if not is_worker_installed():
            raise Unavailable("The package kaireon-worker is not installed beside this API")
        limits = (
            "--seconds",
            str(self._settings.drain_queues_seconds),
            "--jobs",
            str(self._settings.drain_queues_jobs),
        )
        process = await asyncio.create_subprocess_exec(
            *worker_command("drain", *limits),
            env=worker_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        step_back(process.pid)
        try:
            async with asyncio.timeout(self._settings.drain_queues_seconds + _AROUND_SECONDS):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise Unavailable("The jobs could not be read or run; the log says why")
        return msgspec.json.decode(output, type=DrainCounts)


async def _drain(call: Call[Any]) -> Reply:
    counts = await call.services.queue_drain()
    return Reply(content=DrainAnswer(**msgspec.structs.asdict(counts)))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path=DRAIN_PATH,
        role=Role.CRON,
        handler=_drain,
        summary="Run the jobs that are due, for deployments without a worker",
        answers={200: DrainAnswer, 401: None, 403: None, 429: None, 503: None},
    ),
)
