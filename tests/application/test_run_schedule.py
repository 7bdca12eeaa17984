"""When campaigns are due: every form of schedule, in its zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kaireon_application.engagement.run_schedule import latest_due, schedule_problems

MANUAL: dict[str, Any] = {
    "scheduleType": "manual",
    "scheduleDayOfWeek": None,
    "scheduleDayOfMonth": None,
    "scheduleTime": "09:00",
    "scheduleTimezone": "UTC",
    "scheduleCron": None,
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "now", "due"),
    [
        ({}, "2026-01-01", "2026-02-01", None),
        ({"scheduleType": "daily"}, "2026-01-01T09:00", "2026-01-02T08:59", None),
        ({"scheduleType": "daily"}, "2026-01-01T09:00", "2026-01-02T09:00", "2026-01-02T09:00"),
        # Of several days that have passed the last one counts.
        ({"scheduleType": "daily"}, "2026-01-01", "2026-01-05T12:00", "2026-01-05T09:00"),
        # 2026-01-09 is a Friday; Sunday is 0.
        ({"scheduleType": "weekly", "scheduleDayOfWeek": 5}, "2026-01-05", "2026-01-10", "2026-01-09T09:00"),
        ({"scheduleType": "weekly", "scheduleDayOfWeek": 0}, "2026-01-05", "2026-01-12", "2026-01-11T09:00"),
        ({"scheduleType": "monthly", "scheduleDayOfMonth": 28}, "2026-02-01", "2026-03-01", "2026-02-28T09:00"),
        # The 31st is a Saturday.
        (
            {"scheduleType": "monthly", "scheduleDayOfMonth": "last_working_day"},
            "2026-01-15", "2026-02-01", "2026-01-30T09:00",
        ),
        # The clocks of Berlin go forward on 2026-03-29.
        (
            {"scheduleType": "daily", "scheduleTimezone": "Europe/Berlin"},
            "2026-03-28T12:00", "2026-03-29T12:00", "2026-03-29T07:00",
        ),
        (
            {"scheduleType": "daily", "scheduleTimezone": "Europe/Berlin"},
            "2026-03-27T12:00", "2026-03-28T12:00", "2026-03-28T08:00",
        ),
        ({"scheduleCron": "*/10 * * * *"}, "2026-01-01T00:00", "2026-01-01T00:25", "2026-01-01T00:20"),
        ({"scheduleCron": "0 0 1 1 *"}, "2020-01-01", "2026-06-01", None),
    ],
)  # fmt: skip
def test_the_last_instant_that_has_come(schedule: dict[str, Any], after: str, now: str, due: str | None) -> None:
    found = latest_due({**MANUAL, **schedule}, at(after), at(now))
    assert found == (None if due is None else at(due))


def test_no_instant_is_due_twice() -> None:
    schedule, now = {**MANUAL, "scheduleType": "daily"}, at("2026-01-05T12:00")
    first = latest_due(schedule, now - timedelta(days=10), now)
    assert first is not None
    assert latest_due(schedule, first, now) is None


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"scheduleType": "weekly"}, "scheduleDayOfWeek"),
        ({"scheduleType": "monthly"}, "scheduleDayOfMonth"),
        ({"scheduleTimezone": "Mars/Base"}, "scheduleTimezone"),
        ({"scheduleTimezone": "../etc"}, "scheduleTimezone"),
        ({"scheduleCron": "* * *"}, "scheduleCron"),
        ({"scheduleCron": "0 0 31 2 *"}, "scheduleCron"),
    ],
)
def test_what_is_no_schedule_is_told(schedule: dict[str, Any], field: str) -> None:
    assert [name for name, _ in schedule_problems({**MANUAL, **schedule}, at("2026-01-01"))] == [field]
