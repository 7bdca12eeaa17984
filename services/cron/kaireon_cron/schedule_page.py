"""`python -m kaireon_cron.schedule_page > docs/reference/schedules.md`: the schedule as a page."""

from __future__ import annotations

import sys

from kaireon_cron.schedule import Schedule, ScheduledJob, read_schedule

_HEAD = """\
# Schedules

<!-- Made from services/cron/kaireon_cron/schedule.toml by `python -m kaireon_cron.schedule_page`; change that file. -->

Times are UTC; a run is ended after {deadline_seconds} s. Of each job one run goes on at a time, whoever starts it: the
scheduler of `make run`, a CronJob, `python -m kaireon_cron JOB`, or `POST /api/v1/cron/JOB`. A run holds a lease in
Postgres for 30 s at a time and renews it every 5 s; another one that is started meanwhile does nothing, and says
`skipped`. After a `kill -9` the job can run again 30 s later at the latest.

| job | due | by itself | `cron.schedules` key | what it does |
|---|---|---|---|---|
"""

_FOOT = """
`POST /api/v1/cron/JOB` (cleanup takes `GET` too) wants `CRON_SECRET` as `Authorization: Bearer ...` or
`X-Cron-Secret: ...`, and answers 401 to everybody while it is not set. It answers `{ok, job, skipped, tickAt, counts}`
when the run is over, and 500 `CRON_JOB_FAILED` with each failure in `details` when any part of it failed; what was done
before stays done.
"""


def render(schedule: Schedule) -> str:
    """Return the page."""
    rows = [_row(name, job) for name, job in schedule.jobs.items()]
    return _HEAD.format(deadline_seconds=schedule.deadline_seconds) + "".join(rows) + _FOOT


def _row(name: str, job: ScheduledJob) -> str:
    runs = ("yes" if job.enabled else "no") if job.is_built else "not built yet"
    return f"| `{name}` | `{job.schedule}` | {runs} | `{job.values_name}` | {job.description} |\n"


if __name__ == "__main__":
    sys.stdout.write(render(read_schedule()))
