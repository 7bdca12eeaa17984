"""Windows of time: calendar windows begin in the tenant's time zone, rolling windows last 24 hours a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_MINUTE_MS = 60_000
HOUR_MS = 60 * _MINUTE_MS
DAY_MS = 24 * HOUR_MS
# A calendar day or month never lasts longer than this, a change of summer time included.
LONGEST_DAY_MS = DAY_MS + 2 * HOUR_MS
LONGEST_MONTH_MS = 31 * DAY_MS + 2 * HOUR_MS


class Period(StrEnum):
    """A calendar window."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def period_start_ms(period: Period, now_ms: int, zone: ZoneInfo) -> int:
    """Return when the day, week (from Monday) or month that holds `now_ms` began in this zone."""
    return _period_start_ms(period, now_ms // _MINUTE_MS, zone)


@lru_cache(maxsize=1024)
def _period_start_ms(period: Period, minute: int, zone: ZoneInfo) -> int:
    """Every day since 1972 begins on a whole minute in every zone, so decisions within a minute share the answer."""
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period is Period.WEEK:
        midnight -= timedelta(days=midnight.weekday())
    elif period is Period.MONTH:
        midnight = midnight.replace(day=1)
    return round(midnight.timestamp() * 1000)


def day_of(at_ms: int, zone: ZoneInfo) -> int:
    """Return the number of the day in this zone: the first of January of the year 1 is 1."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone).toordinal()


def day_and_hour(now_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return the day of the week (0 = Sunday) and the hour of the clock in this zone."""
    local = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(zone)
    return local.isoweekday() % 7, local.hour


def instant_ms(text: object) -> int | None:
    """Return an ISO date (midnight UTC) or timestamp (UTC without a zone) in milliseconds; None when unreadable."""
    if not isinstance(text, str):
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
