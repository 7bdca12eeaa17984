"""Windows of time, in zones whose clocks change at midnight, at one, and by half an hour."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.decisioning.calendar import DAY_MS, LONGEST_MONTH_MS, Period, instant_ms, period_start_ms

_ZONES = [
    "UTC",
    "Europe/Vienna",
    "America/New_York",
    "America/Havana",
    "America/Asuncion",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
]
# 2020 to 2030.
_INSTANTS = st.integers(1_577_836_800_000, 1_893_456_000_000)


def _window(period: Period, at_ms: int, zone: ZoneInfo) -> tuple[int, ...]:
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    if period is Period.DAY:
        return local.year, local.month, local.day
    return local.isocalendar()[:2] if period is Period.WEEK else (local.year, local.month)


@given(period=st.sampled_from(list(Period)), now_ms=_INSTANTS, name=st.sampled_from(_ZONES))
def test_law_a_window_begins_with_its_first_instant(period: Period, now_ms: int, name: str) -> None:
    zone = ZoneInfo(name)
    start_ms = period_start_ms(period, now_ms, zone)
    assert start_ms <= now_ms
    assert _window(period, start_ms, zone) == _window(period, now_ms, zone)
    assert _window(period, start_ms - 1, zone) != _window(period, now_ms, zone)
    assert now_ms - start_ms < LONGEST_MONTH_MS
    assert period_start_ms(period, start_ms, zone) == start_ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-02", DAY_MS),
        ("1970-01-02T00:00:00", DAY_MS),
        ("1970-01-02T00:00:00Z", DAY_MS),
        ("1970-01-02T01:30:00.5+01:30", DAY_MS + 500),
        ("1969-12-31T23:59:59.999Z", -1),
        ("tomorrow", None),
        ("", None),
        (None, None),
        (0, None),
        (["1970-01-02"], None),
    ],
)
def test_instant_is_utc_unless_it_says_otherwise(text: object, expected: int | None) -> None:
    assert instant_ms(text) == expected
