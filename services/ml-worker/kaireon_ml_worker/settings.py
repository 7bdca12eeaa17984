"""The settings of the ML worker."""

from __future__ import annotations

from pydantic import Field, SecretStr

from kaireon_runtime.settings import DatabaseSettings, Port


class Settings(DatabaseSettings):
    """Everything the ML worker reads from its environment; each field is the variable of the same name in capitals."""

    ml_worker_host: str = "127.0.0.1"
    ml_worker_port: Port = 8000
    ml_worker_token: SecretStr | None = None
    """When set, every call but `GET /health` must carry it in the header `X-ML-Worker-Token`."""
    ml_worker_threads: int = Field(default=1, ge=1, le=256)
    """Threads of one training; the trees that it grows do not depend on it."""
    ml_worker_trainings: int = Field(default=1, ge=1, le=64)
    """Trainings at the same time; further ones wait."""
    ml_worker_analyses: int = Field(default=2, ge=1, le=64)
    """Analyses at the same time; further ones wait."""
