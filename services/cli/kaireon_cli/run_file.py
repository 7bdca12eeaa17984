"""`var/run/kaireon.json`: what runs, where, and how to reach it."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType


class RunningService(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One process: the serving one itself, without any wrapper."""

    pid: int
    restarts: int
    url: str | UnsetType = UNSET


class RunFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The file. `services`: api, worker, mlWorker, outboxPublisher, cron, and redis and postgres when private."""

    version: int = 1
    pid: int
    started_at: str
    api_url: str
    ml_worker_url: str
    tenant_id: UUID
    api_keys: dict[str, str]
    database_url: str
    redis_url: str
    event_stream: str
    services: dict[str, RunningService]


def write_run_file(path: Path, content: RunFile) -> None:
    """Replace the file at once: a reader sees the old one or the new one, never half of it."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_run_file(path: Path) -> RunFile | None:
    """Return the file's content, or None when nothing is running or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunFile)
    except (OSError, msgspec.DecodeError):
        return None
