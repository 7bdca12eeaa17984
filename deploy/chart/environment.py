"""Which variables each tier reads, from its settings class, so that the chart gives each tier those and no others."""

from __future__ import annotations

import importlib
from typing import Any, cast, get_args

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from kaireon_cli.doctor.settings import DoctorSettings
from kaireon_runtime.settings import SearchSettings

_TIERS = ("api", "worker", "ml-worker", "outbox-publisher", "stream", "mcp", "cron", "cli")
# What processes tell those that they start.
_PRIVATE = {"KAIREON_PARENT_PID", "WORKER_POKE_SOCKET", "PROMETHEUS_MULTIPROC_DIR"}
# What the chart alone can know: whether a pooler stands between.
_OWNED = ("DATABASE_URL", "DATABASE_DIRECT_URL", "DATABASE_POOLER")

_HEAD = """\
# The variables of each tier, by its settings class; a test says when this file must be written anew:
#   python -m deploy.chart
# owned: those that the chart makes itself. secrets: those that only the Secret may hold.
"""


class CommandPod(DoctorSettings, SearchSettings):
    """What the commands read that are run in the pod of the command: the doctor's, and the index of searches."""


def settings_of(tier: str) -> type[BaseSettings]:
    """Return the settings class of a tier."""
    if tier == "cli":
        return CommandPod
    module = importlib.import_module(f"kaireon_{tier.replace('-', '_')}.settings")
    return cast("type[BaseSettings]", module.JobSettings if tier == "cron" else module.Settings)


def tiers() -> dict[str, type[BaseSettings]]:
    """Return the settings class of every tier."""
    return {tier: settings_of(tier) for tier in _TIERS}


def environment_file() -> str:
    """Return `helm/files/environment.yaml`."""
    classes = tiers()
    secrets = {name for settings in classes.values() for name in _names(settings) if _is_secret(settings, name)}
    lines = [_HEAD, f"owned: [{', '.join(_OWNED)}]\n", "secrets:\n", *_listed(secrets, ""), "tiers:\n"]
    for tier, settings in classes.items():
        lines += [f"  {tier}:\n", *_listed(_names(settings), "  ")]
    return "".join(lines)


def _listed(names: set[str], indent: str) -> list[str]:
    return [f"{indent}  - {name}\n" for name in sorted(names)]


def _names(settings: type[BaseSettings]) -> set[str]:
    return {name.upper() for name in settings.model_fields} - _PRIVATE


def _is_secret(settings: type[BaseSettings], name: str) -> bool:
    annotation: Any = settings.model_fields[name.lower()].annotation
    return annotation is SecretStr or SecretStr in get_args(annotation)
