"""When a model that learns on a schedule is due: cron expressions, in UTC."""

from __future__ import annotations

from datetime import datetime

from cronsim import CronSim, CronSimError

# Once on each day.
DAILY = "0 0 * * *"


def schedule_problem(expression: str, now: datetime) -> str | None:
    """Return what is wrong with a cron expression, None for a sound one."""
    try:
        next(CronSim(expression, now))
    except (CronSimError, StopIteration) as error:
        return f"is no cron expression of five fields that ever comes: {error}"
    return None


def is_due(expression: str | None, trained_at: datetime | None, now: datetime) -> bool:
    """Return whether the schedule (None: daily) has come since a model was trained; one that never was is due."""
    if trained_at is None:
        return True
    try:
        return next(CronSim(expression or DAILY, trained_at)) <= now
    except (CronSimError, StopIteration):
        return False
