"""One run of one job: a process of its own that prints one line of JSON and ends."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from kaireon_application.errors import KaireonError
from kaireon_application.platform.scheduled_job import JobOutcome
from kaireon_cron.settings import JobSettings
from kaireon_runtime.lifecycle import end_with_parent
from kaireon_runtime.logs import configure_logs, logger
from kaireon_runtime.settings import load
from kaireon_storage.postgres.database import Database
from kaireon_storage.scheduled_jobs import run_job

_SUCCEEDED = 0
_FAILED = 1


def run_once(name: str) -> int:
    """Run a job that exists and return the exit code: 0 when all of it succeeded, 1 when anything failed."""
    settings = load(JobSettings)
    end_with_parent(settings.kaireon_parent_pid)
    configure_logs("cron", settings.log_level, settings.log_format)
    outcome = asyncio.run(_outcome(name, settings))
    for failure in outcome.failures:
        logger("kaireon.cron").error("cron job failed", job=name, error=failure)
    told = {"skipped": True} if outcome.is_skipped else outcome.counts
    line = {"job": name, "ok": not outcome.failures, **told, "failures": outcome.failures}
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    return _FAILED if outcome.failures else _SUCCEEDED


async def _outcome(name: str, settings: JobSettings) -> JobOutcome:
    database = Database(
        settings.database_url,
        max_connections=2,
        application_name=f"kaireon-cron-{name}",
        pooler=settings.database_pooler,
    )
    await database.open()
    try:
        return await run_job(name, database, settings)
    except KaireonError as error:
        return JobOutcome(failures=(error.message,))
    except Exception as error:  # noqa: BLE001 - the outermost frame of the process: its one line must say what failed
        logger("kaireon.cron").exception("cron job met an unexpected error", job=name)
        return JobOutcome(failures=(f"{type(error).__name__}: {error}",))
    finally:
        await database.close()
