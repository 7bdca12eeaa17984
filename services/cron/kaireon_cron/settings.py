"""The settings of the cron tier."""

from __future__ import annotations

from pydantic import Field

from kaireon_runtime.settings import DatabaseSettings


class JobSettings(DatabaseSettings):
    """What a job reads from its environment; each field is the variable of the same name in capitals."""

    ml_worker_url: str | None = None
    """Where the ML worker is; without it no training of gradient_boosted models is queued."""
    outbox_reaper_after_minutes: float = Field(default=10.0, gt=0, le=60 * 24 * 365, allow_inf_nan=False)
    """How long an event may stand in status `processing`."""
