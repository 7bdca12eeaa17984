"""The settings of the API tier."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from kaireon_runtime.settings import (
    ApiKeySettings,
    DatabaseSettings,
    OutboundSettings,
    Port,
    RedisSettings,
    ScheduledJobSettings,
)

_RATE_LIMITS = re.compile(r"\s*([\w/*.{}-]+=\d+/\d+s\s*(,\s*|$))*")


class Settings(DatabaseSettings, RedisSettings, ApiKeySettings, ScheduledJobSettings, OutboundSettings):
    """Everything the API reads from its environment; each field is the variable of the same name in capitals."""

    api_host: str = "127.0.0.1"
    api_port: Port = 3000
    api_workers: int = Field(default=1, ge=1, le=64)
    api_database_connections: int = Field(default=8, ge=1, le=100)
    cron_secret: SecretStr | None = None
    worker_inprocess: bool = True
    rate_limits: str = ""
    """`<route>=<count>/<seconds>s`, comma-separated, `*` for every other route: `recommend=100/60s,*=2000/60s`."""

    prometheus_multiproc_dir: Path | None = None
    """Where several API processes count together; set by the first of them."""

    @field_validator("rate_limits")
    @classmethod
    def _require_rate_limits(cls, value: str) -> str:
        if _RATE_LIMITS.fullmatch(value) is None:
            message = "must look like recommend=100/60s,*=2000/60s"
            raise ValueError(message)
        return value
