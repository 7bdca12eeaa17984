"""The schedule is the product's table, and the scheduler keeps to it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from kaireon_cron.schedule import BadSchedule, Schedule, ScheduledJob, read_schedule
from kaireon_cron.scheduler import Clock, Scheduler, next_due
from kaireon_runtime.logs import logger
from kaireon_storage.scheduled_jobs import JOBS
from kaireon_testkit.patience import eventually

PRODUCT_TABLE = {
    "cleanup": ("cleanup", "30 4 * * *", True),
    "engagement-health-recompute": ("engagementHealthRecompute", "15 3 * * *", True),
    "gitops-drift-check": ("gitopsDriftCheck", "0 5 * * *", True),
    "approvals-expire": ("approvalsExpire", "*/15 * * * *", True),
    "flow-scheduler-tick": ("flowSchedulerTick", "* * * * *", True),
    "scheduled-retrains": ("scheduledRetrains", "0 2 * * *", True),
    "outbox-reaper": ("outboxReaper", "*/2 * * * *", False),
}


def test_the_schedule_is_the_product_s() -> None:
    jobs = read_schedule().jobs
    assert {name: (job.values_name, job.schedule, job.enabled) for name, job in jobs.items()} == PRODUCT_TABLE
    assert all(job.description for job in jobs.values())


def test_what_the_schedule_calls_built_is_what_can_be_run() -> None:
    schedule = read_schedule()
    assert {name for name, job in schedule.jobs.items() if job.is_built} == set(JOBS)
    assert set(schedule.due()) <= set(JOBS)


@pytest.mark.parametrize(
    ("line", "named"),
    [('schedule = "61 * * * *"', "cleanup"), ('schedule = "daily"', "cleanup"), ("schedule = 5", "schedule")],
)
def test_a_bad_schedule_is_refused_with_its_place(line: str, named: str) -> None:
    text = f"""
        deadline_seconds = 1
        [jobs.cleanup]
        values_name = "cleanup"
        {line}
        enabled = true
        is_built = true
        description = "x"
    """
    with pytest.raises(BadSchedule, match=named):
        read_schedule(dedent(text).encode())


@pytest.mark.parametrize("arguments", [["nope"], ["cleanup", "twice"], ["--help"]])
async def test_an_unknown_job_is_refused_with_the_names_of_those_known(arguments: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kaireon_cron", *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert len(errors.splitlines()) == 1
    assert all(name in errors.decode() for name in JOBS)


class Journal:
    """What the runs of a job wrote down."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def lines(self) -> list[str]:
        """Return one line per event."""
        return self.path.read_text().split()

    def command(self, body: str) -> tuple[str, ...]:
        """Return the command of a job that writes `start`, does this, and writes `end`."""
        program = f"""
            import sys, time
            journal = open({str(self.path)!r}, "a", buffering=1)
            journal.write("start\\n")
            {body}
            journal.write("end\\n")
        """
        return (sys.executable, "-c", dedent(program))


@asynccontextmanager
async def _running(
    journal: Journal, body: str, deadline_seconds: int = 60, clock: Clock = lambda: datetime.now(UTC)
) -> AsyncGenerator[None]:
    every_second = ScheduledJob(
        values_name="tick", schedule="* * * * * *", enabled=True, is_built=True, description="Ticks."
    )
    schedule = Schedule(deadline_seconds=deadline_seconds, jobs={"tick": every_second})
    scheduler = Scheduler(schedule, journal.command(body), dict(os.environ), logger("kaireon.cron"), clock)
    stop = asyncio.Event()
    running = asyncio.create_task(scheduler.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def test_a_run_that_takes_longer_than_its_interval_is_never_joined_by_another(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    async with _running(journal, "time.sleep(1.5)"):
        await eventually(lambda: journal.lines().count("end") >= 2)
    assert journal.lines()[:4] == ["start", "end", "start", "end"]


async def test_a_job_that_crashes_is_started_again_when_it_is_due(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    async with _running(journal, "sys.exit(3)"):
        await eventually(lambda: journal.lines().count("start") >= 2)


async def test_a_run_past_its_deadline_is_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    async with _running(journal, "time.sleep(600)", deadline_seconds=1):
        await eventually(lambda: journal.lines().count("start") >= 2)
    assert "end" not in journal.lines()


async def test_stopping_the_scheduler_ends_the_run_in_hand(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    async with _running(journal, "time.sleep(600)"):
        await eventually(lambda: "start" in journal.lines())
    assert journal.lines() == ["start"]


async def test_the_scheduler_process_stops_on_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kaireon_cron", "scheduler"),
        env={**os.environ, "DATABASE_URL": "postgresql://postgres@127.0.0.1:1/nowhere"},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    assert b"cron scheduler started" in await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


NOON = datetime(2026, 3, 18, 12, 0, 30, tzinfo=UTC)
DAILY, EACH_MINUTE = "0 12 * * *", "* * * * *"


@pytest.mark.parametrize(
    ("expression", "now", "ran_for", "due"),
    [
        (EACH_MINUTE, NOON, None, "2026-03-18T12:01"),
        (EACH_MINUTE, NOON, "2026-03-18T12:00", "2026-03-18T12:01"),
        # Set forward by an hour: one run, not sixty.
        (EACH_MINUTE, NOON + timedelta(hours=1), "2026-03-18T12:01", "2026-03-18T13:01"),
        # Set back by an hour: at once again; by less than a minute: not twice.
        (EACH_MINUTE, NOON - timedelta(hours=1), "2026-03-18T12:00", "2026-03-18T11:01"),
        (EACH_MINUTE, NOON - timedelta(seconds=31), "2026-03-18T12:00", "2026-03-18T12:01"),
        (DAILY, NOON - timedelta(hours=1), "2026-03-18T12:00", "2026-03-19T12:00"),
        (DAILY, NOON - timedelta(hours=1), None, "2026-03-18T12:00"),
        (DAILY, NOON - timedelta(hours=30), "2026-03-18T12:00", "2026-03-17T12:00"),
    ],
)
def test_a_clock_that_is_set_repeats_no_run_and_stops_none(
    expression: str, now: datetime, ran_for: str | None, due: str
) -> None:
    last = None if ran_for is None else datetime.fromisoformat(ran_for).replace(tzinfo=UTC)
    assert next_due(expression, now, last) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)])
async def test_a_scheduler_goes_on_when_its_clock_is_set(tmp_path: Path, step: timedelta) -> None:
    journal, offset = Journal(tmp_path / "journal"), [timedelta()]
    async with _running(journal, "", clock=lambda: datetime.now(UTC) + offset[0]):
        await eventually(lambda: journal.lines().count("end") >= 2)
        before = journal.lines().count("start")
        offset[0] = step
        await eventually(lambda: journal.lines().count("start") >= before + 3)
