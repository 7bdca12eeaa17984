"""The schedule: `schedule.toml` as values."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import msgspec
from cronsim import CronSim, CronSimError

_ANY_INSTANT = datetime(2026, 1, 1, tzinfo=UTC)


class ScheduledJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One job: when it is due (UTC), whether it runs by itself, and whether this release has it."""

    values_name: str
    schedule: str
    enabled: bool
    is_built: bool
    description: str


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every scheduled job by name; one that runs longer than `deadline_seconds` is ended."""

    deadline_seconds: int
    jobs: dict[str, ScheduledJob]

    def due(self) -> dict[str, ScheduledJob]:
        """Return the jobs that the scheduler starts."""
        return {name: job for name, job in self.jobs.items() if job.enabled and job.is_built}


class BadSchedule(Exception):
    """The schedule cannot be read; the message says which job and why."""


def read_schedule(text: bytes | None = None) -> Schedule:
    """Decode a schedule, by default the package's own. Raises `BadSchedule`."""
    try:
        schedule = msgspec.toml.decode(
            text or files("kaireon_cron").joinpath("schedule.toml").read_bytes(), type=Schedule
        )
    except msgspec.DecodeError as error:
        raise BadSchedule(str(error)) from error
    for name, job in schedule.jobs.items():
        try:
            CronSim(job.schedule, _ANY_INSTANT)
        except CronSimError as error:
            raise BadSchedule(f"jobs.{name}.schedule {job.schedule!r}: {error}") from error
    return schedule
