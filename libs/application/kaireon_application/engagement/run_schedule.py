"""When a campaign's runs are due: every form of schedule as one cron expression in its zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

LAST_WORKING_DAY = "last_working_day"
# What came earlier is not made up for: monthly schedules come within it.
_LOOK_BACK = timedelta(days=32)


def expression_of(schedule: dict[str, Any]) -> str | None:
    """Return the cron expression of a run's wire fields, None for one that people trigger."""
    if schedule["scheduleCron"] is not None:
        return str(schedule["scheduleCron"])
    hour, minute = (int(part) for part in schedule["scheduleTime"].split(":"))
    day = schedule["scheduleDayOfMonth"]
    days = {
        "daily": "* * *",
        "weekly": f"* * {schedule['scheduleDayOfWeek']}",
        "monthly": f"{'LW' if day == LAST_WORKING_DAY else day} * *",
    }.get(schedule["scheduleType"])
    return None if days is None else f"{minute} {hour} {days}"


def schedule_problems(schedule: dict[str, Any], now: datetime) -> list[tuple[str, str]]:
    """Return (field, what is wrong with it)."""
    problems = list[tuple[str, str]]()
    if schedule["scheduleType"] == "weekly" and schedule["scheduleDayOfWeek"] is None:
        problems.append(("scheduleDayOfWeek", "is needed where scheduleType is weekly"))
    if schedule["scheduleType"] == "monthly" and schedule["scheduleDayOfMonth"] is None:
        problems.append(("scheduleDayOfMonth", "is needed where scheduleType is monthly"))
    try:
        ZoneInfo(schedule["scheduleTimezone"])
    except (ZoneInfoNotFoundError, ValueError):
        problems.append(("scheduleTimezone", "is no IANA time zone, such as Europe/Berlin"))
    if schedule["scheduleCron"] is not None:
        try:
            next(CronSim(schedule["scheduleCron"], now))
        except (CronSimError, StopIteration) as error:
            problems.append(("scheduleCron", f"is no cron expression of five fields that ever comes: {error}"))
    return problems


def latest_due(schedule: dict[str, Any], after: datetime, now: datetime) -> datetime | None:
    """Return the last scheduled instant after one and up to another, None where there is none. Both are aware."""
    expression = expression_of(schedule)
    if expression is None:
        return None
    zone, latest = ZoneInfo(schedule["scheduleTimezone"]), None
    for instant in CronSim(expression, max(after, now - _LOOK_BACK).astimezone(zone)):
        if instant.astimezone(UTC) > now:
            break
        latest = instant.astimezone(UTC)
    return latest
