"""A worker process with handlers for tests: `python worker_process.py`, configured by the environment as always."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kaireon_application.platform.job import JobRefused, JobRun
from kaireon_application.platform.job_announcements import AnnouncementTerms
from kaireon_application.platform.job_runner import LeaseTerms
from kaireon_runtime.lifecycle import end_with_parent
from kaireon_runtime.logs import configure_logs
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.settings import load
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.jobs import hold_lease
from kaireon_worker.handlers import build_handlers
from kaireon_worker.settings import Settings
from kaireon_worker.worker import build_worker

# The same machinery, sooner.
QUICK_LEASES = LeaseTerms(lease_seconds=3.0, heartbeat_seconds=0.5, progress_seconds=0.05, retry_base_seconds=0.05)
QUICK_ROUNDS = AnnouncementTerms(interval_seconds=0.2, queued_again_seconds=1.0, lapsed_again_seconds=1.0)


async def count_up(run: JobRun) -> dict[str, Any]:
    """Report every step; slow enough to be looked at."""
    total = int(run.job.payload.get("steps", 5))
    for step in range(total):
        await run.report(step, total)
        await asyncio.sleep(float(run.job.payload.get("pause", 0.01)))
    await run.report(total, total)
    return {"steps": total}


async def block(run: JobRun) -> dict[str, Any]:
    """Hold the handler's thread without ever yielding, and longer than a lease."""
    time.sleep(float(run.job.payload["seconds"]))  # noqa: ASYNC251 - that is the point
    return {"attempt": run.job.attempt}


async def fail(run: JobRun) -> dict[str, Any]:
    """Fail always."""
    raise RuntimeError(f"attempt {run.job.attempt}\x00 failed")


# How a handler ends its whole process.
DEATHS: dict[str, Callable[[], object]] = {
    "exits": lambda: os._exit(0),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crashes": lambda: ctypes.string_at(0),
}


async def die(run: JobRun) -> dict[str, Any]:
    """End the process for as long as a file is there."""
    if Path(run.job.payload["while"]).exists():  # noqa: ASYNC240 - nobody else waits in this thread
        DEATHS[run.job.payload["how"]]()
    return {"attempt": run.job.attempt}


async def refuse(_: JobRun) -> dict[str, Any]:
    """Refuse."""
    raise JobRefused("one_class", "only one class")


def write_effect(database_url: str) -> Any:
    """Return a handler that starts work, dawdles on the first attempt, then writes its effect under the lease."""

    async def handle(run: JobRun) -> dict[str, Any]:
        database = Database(database_url)
        await database.open()
        try:
            async with database.transaction(run.job.tenant_id) as connection:
                await connection.execute(
                    "INSERT INTO attempts (job_id, attempt) VALUES (%s, %s)", (run.job.id, run.job.attempt)
                )
            if run.job.attempt <= int(run.job.payload.get("slowAttempts", 1)):
                await asyncio.sleep(float(run.job.payload.get("dawdle", 60)))
            async with database.transaction(run.job.tenant_id) as connection:
                await hold_lease(connection, run)
                await connection.execute("INSERT INTO effects (job_id) VALUES (%s)", (run.job.id,))
        finally:
            await database.close()
        return {"attempt": run.job.attempt}

    return handle


def main() -> int:
    """Run the worker."""
    settings = load(Settings)
    end_with_parent(settings.kaireon_parent_pid)
    configure_logs("worker", settings.log_level, settings.log_format)
    handlers = {
        **build_handlers(settings, Metrics()),
        "count_up": count_up,
        "block": block,
        "fail": fail,
        "die": die,
        "refuse": refuse,
        "write_effect": write_effect(settings.database_url),
    }
    quick = sys.argv[1:] == ["quick"]
    return build_worker(
        settings, handlers, None, QUICK_LEASES if quick else None, QUICK_ROUNDS if quick else None
    ).run()


if __name__ == "__main__":
    sys.exit(main())
