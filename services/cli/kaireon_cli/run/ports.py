"""The ports that are promised to others are looked at before anything is started."""

from __future__ import annotations

from kaireon_cli.settings import RunSettings
from kaireon_testkit.native.ports import is_free


class PortTaken(Exception):
    """A port that a tier needs cannot be had; the message names its variable."""


def require_ports(settings: RunSettings) -> None:
    """Raise `PortTaken` unless both ports are free and two."""
    if settings.api_port == settings.ml_worker_port:
        raise PortTaken(f"API_PORT and ML_WORKER_PORT are both {settings.api_port}; choose two ports")
    for variable, host, port in (
        ("API_PORT", settings.api_host, settings.api_port),
        ("ML_WORKER_PORT", "127.0.0.1", settings.ml_worker_port),
    ):
        if not is_free(port, host):
            raise PortTaken(f"{variable} {port} is taken on {host}; set {variable} to a free port")
