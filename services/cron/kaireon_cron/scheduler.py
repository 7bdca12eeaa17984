"""The scheduler of `make run`: what Kubernetes CronJobs do, in one process. Jobs are children, one process a run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from cronsim import CronSim

from kaireon_cron.schedule import Schedule, ScheduledJob
from kaireon_runtime.logs import Logger

_GRACE_SECONDS = 5.0
_LONGEST_SLEEP_SECONDS = 30.0

Clock = Callable[[], datetime]


class Scheduler:
    """Starts each due job; a run that is still going when the next is due makes that one be skipped (Forbid)."""

    def __init__(
        self,
        schedule: Schedule,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        log: Logger,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._schedule = schedule
        self._command = command
        # A child ends with its scheduler, whatever ends that one.
        self._environment = {**environment, "KAIREON_PARENT_PID": str(os.getpid())}
        self._log = log
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Start due jobs until `stop` is set; then end the runs in hand."""
        due = self._schedule.due()
        async with asyncio.TaskGroup() as tasks:
            loops = [tasks.create_task(self._keep(name, job, stop)) for name, job in due.items()]
            self._log.info("cron scheduler started", jobs=sorted(due))
            await stop.wait()
            for loop in loops:
                loop.cancel()

    async def _keep(self, name: str, job: ScheduledJob, stop: asyncio.Event) -> None:
        ran_for: datetime | None = None
        while not stop.is_set():
            ran_for = await self._until_due(job.schedule, ran_for)
            await self.run_job(name)

    async def _until_due(self, expression: str, ran_for: datetime | None) -> datetime:
        """Sleep until the next run is due, however the clock is set meanwhile; return the instant it is due at."""
        now = self._clock()
        due = next_due(expression, now, ran_for)
        # A long sleep would not notice a changed clock; nobody sets an event when an instant has come.
        while (remaining := (due - now).total_seconds()) > 0:
            await asyncio.sleep(min(remaining, _LONGEST_SLEEP_SECONDS))
            before, now = now, self._clock()
            if now < before:
                due = next_due(expression, now, ran_for)
        return due

    async def run_job(self, name: str) -> bool:
        """Run one job as a child to its end, its deadline or cancellation; return whether it succeeded."""
        try:
            child = await asyncio.create_subprocess_exec(*self._command, name, env=self._environment)
        except OSError as error:
            self._log.error("cron job could not be started", job=name, error=str(error))
            return False
        self._log.info("cron job started", job=name, pid=child.pid)
        try:
            code = await asyncio.wait_for(child.wait(), self._schedule.deadline_seconds)
        except TimeoutError:
            self._log.error("cron job took too long", job=name, seconds=self._schedule.deadline_seconds)
            return False
        finally:
            await _end(child)
        if code != 0:
            self._log.error("cron job ended with an error", job=name, exitCode=code)
        return code == 0


def command_of_jobs() -> tuple[str, ...]:
    """Return the command that runs one job, without its name."""
    return (sys.executable, "-m", "kaireon_cron")


def next_due(expression: str, now: datetime, ran_for: datetime | None) -> datetime:
    """Return the next instant of a schedule, given the one that ran last.

    When the clock was set back, what has run does not run again, unless that would mean to wait for longer than from
    one run to the next: a job of each minute does not stand still for the hour that is lived twice.
    """
    due = _after(expression, now)
    if ran_for is None or due > ran_for:
        return due
    fresh = _after(expression, ran_for)
    return fresh if ran_for - now < fresh - ran_for else due


def _after(expression: str, instant: datetime) -> datetime:
    upcoming: Iterator[datetime] = iter(CronSim(expression, instant))
    return next(upcoming)


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(child.wait(), _GRACE_SECONDS)
    except TimeoutError:
        child.kill()
        await child.wait()
