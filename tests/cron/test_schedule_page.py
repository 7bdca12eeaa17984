"""The page of the schedule is what the schedule says."""

from __future__ import annotations

from pathlib import Path

from kaireon_cron.schedule import read_schedule
from kaireon_cron.schedule_page import render


def test_the_page_is_current(clone: Path) -> None:
    assert (clone / "docs/reference/schedules.md").read_text() == render(read_schedule())
