"""The settings of the worker tier."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from kaireon_runtime.settings import (
    DatabaseSettings,
    LanguageModelSettings,
    MlWorkerSettings,
    OutboundSettings,
    Port,
    RedisSettings,
    TracingSettings,
)
from kaireon_runtime.store_settings import InteractionStoreSettings


class Settings(
    DatabaseSettings,
    RedisSettings,
    MlWorkerSettings,
    LanguageModelSettings,
    OutboundSettings,
    InteractionStoreSettings,
    TracingSettings,
):
    """Everything the worker reads from its environment; each field is the variable of the same name in capitals."""

    worker_concurrency: int = Field(default=2, ge=1, le=64)
    """How many jobs run at once in this process."""
    worker_poll_seconds: float = Field(default=1.0, ge=0.1, le=60)
    """How often a worker beside an API looks for jobs that nobody told it of."""
    worker_poke_socket: Path | None = None
    """Where a worker beside an API hears that a job was queued; set by the API."""
    worker_metrics_port: Port | None = None
    """Where `GET /metrics` is answered; nowhere when it is not set."""
    ml_worker_token: SecretStr | None = None
