"""`python -m kaireon_cron JOB`: run one job; `scheduler`, or nothing: start them when they are due."""

from __future__ import annotations

import asyncio
import os
import sys

from kaireon_cron.once import run_once
from kaireon_cron.schedule import read_schedule
from kaireon_cron.scheduler import Scheduler, command_of_jobs
from kaireon_cron.settings import JobSettings
from kaireon_runtime.lifecycle import end_with_parent, stop_on_signal
from kaireon_runtime.logs import configure_logs, logger
from kaireon_runtime.settings import load, refuse
from kaireon_storage.scheduled_jobs import JOBS

_SCHEDULER = "scheduler"


def main() -> None:
    """Run what the first argument names; exit code 2 for anything else or bad settings."""
    arguments = sys.argv[1:] or [_SCHEDULER]
    if len(arguments) != 1 or arguments[0] not in {*JOBS, _SCHEDULER}:
        refuse([f"kaireon_cron: unknown job {' '.join(arguments)!r}; known are {', '.join(JOBS)} and {_SCHEDULER}"])
    if arguments[0] == _SCHEDULER:
        _schedule()
    else:
        raise SystemExit(run_once(arguments[0]))


def _schedule() -> None:
    # What its jobs read: better told now than by each of them when it is due.
    settings = load(JobSettings)
    end_with_parent(settings.kaireon_parent_pid)
    configure_logs("cron", settings.log_level, settings.log_format)
    asyncio.run(_run_scheduler())


async def _run_scheduler() -> None:
    scheduler = Scheduler(
        read_schedule(),
        command_of_jobs(),
        dict(os.environ),  # noqa: TID251 - handed on to the jobs, which read their own settings
        logger("kaireon.cron"),
    )
    with stop_on_signal() as stop:
        await scheduler.run(stop)


if __name__ == "__main__":
    main()
