"""The settings of the cron tier."""

from __future__ import annotations

from kaireon_runtime.settings import DatabaseSettings, ScheduledJobSettings


class JobSettings(DatabaseSettings, ScheduledJobSettings):
    """What a job reads from its environment; each field is the variable of the same name in capitals."""
