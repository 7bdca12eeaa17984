"""The five tiers as processes of this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import msgspec

from kaireon_cli.settings import RunSettings
from kaireon_testkit.native.spawn import Command


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """A tier: its name in logs, its name in kaireon.json, and the module that is it."""

    name: str
    service: str
    module: tuple[str, ...]


API = Tier(name="api", service="api", module=("kaireon_api",))
WORKER = Tier(name="worker", service="worker", module=("kaireon_worker",))
ML_WORKER = Tier(name="ml-worker", service="mlWorker", module=("kaireon_ml_worker",))
OUTBOX_PUBLISHER = Tier(name="outbox-publisher", service="outboxPublisher", module=("kaireon_outbox_publisher",))
CRON = Tier(name="cron", service="cron", module=("kaireon_cron", "scheduler"))

TIERS = (API, WORKER, ML_WORKER, OUTBOX_PUBLISHER, CRON)


class Wiring(msgspec.Struct, frozen=True, kw_only=True):
    """What the tiers are told beside the caller's own environment."""

    database_url: str
    database_direct_url: str | None
    redis_url: str
    api_key_pepper: str
    cron_secret: str
    webhook_signing_secret: str
    supervisor_pid: int


def tier_command(tier: Tier, environment: Mapping[str, str], directory: str) -> Command:
    """Return the command that serves a tier, run by this Python itself: no wrapper."""
    return Command(argv=(sys.executable, "-m", *tier.module), environment=environment, directory=directory)


def tier_environment(caller: Mapping[str, str], settings: RunSettings, wiring: Wiring) -> dict[str, str]:
    """Return the environment of every tier: the caller's, on top of our defaults, below what must be so."""
    defaults = {"WORKER_INPROCESS": "0", "LOG_FORMAT": "console", "ML_WORKER_URL": ml_worker_address(settings)}
    imposed = {
        "DATABASE_URL": wiring.database_url,
        "REDIS_URL": wiring.redis_url,
        "API_PORT": str(settings.api_port),
        "ML_WORKER_PORT": str(settings.ml_worker_port),
        "API_KEY_PEPPER": wiring.api_key_pepper,
        "CRON_SECRET": wiring.cron_secret,
        "WEBHOOK_SIGNING_SECRET": wiring.webhook_signing_secret,
        "KAIREON_PARENT_PID": str(wiring.supervisor_pid),
        "PYTHONUNBUFFERED": "1",
    }
    given = {name: value for name, value in caller.items() if value}
    given.pop("DATABASE_DIRECT_URL", None)
    if wiring.database_direct_url is not None:
        imposed["DATABASE_DIRECT_URL"] = wiring.database_direct_url
    return {**defaults, **given, **imposed}


def api_address(settings: RunSettings) -> str:
    """Return the URL under which this machine reaches the API."""
    host = "127.0.0.1" if settings.api_host in ("0.0.0.0", "::", "") else settings.api_host  # noqa: S104 - compared
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.api_port}"


def ml_worker_address(settings: RunSettings) -> str:
    """Return the URL of the ML worker that is started here."""
    return f"http://127.0.0.1:{settings.ml_worker_port}"
