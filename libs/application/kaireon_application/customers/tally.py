"""What is counted over all customers: the kinds of tallies, and the periods that they are about."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kaireon_core.decisioning.calendar import Period, period_start_ms

STOCK, SPENT, CAP = "stock", "spent", "cap"
EVER = "ever"


def period_key(period: Period, at_ms: int, zone: ZoneInfo) -> str:
    """Return the name of the day, week or month that holds an instant: its letter and its first day."""
    first = datetime.fromtimestamp(period_start_ms(period, at_ms, zone) / 1000, UTC).astimezone(zone)
    return f"{period.value[0].upper()}{first.date().isoformat()}"
