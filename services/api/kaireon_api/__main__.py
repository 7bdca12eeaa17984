"""`python -m kaireon_api`: the HTTP tier."""

from __future__ import annotations

import errno
import os
import socket
from tempfile import TemporaryDirectory

from uvicorn.supervisors import Multiprocess

from kaireon_api.app import build_app
from kaireon_api.server import Server, server_config
from kaireon_api.settings import Settings
from kaireon_runtime.lifecycle import end_with_parent
from kaireon_runtime.logs import configure_logs
from kaireon_runtime.settings import load, refuse


def main() -> None:
    """Serve until told to end."""
    settings = load(Settings)
    configure_logs("api", settings.log_level, settings.log_format)
    end_with_parent(settings.kaireon_parent_pid)
    _require_free_port(settings)
    if settings.api_workers == 1:
        _serve(settings)
    else:
        _serve_with_workers(settings)


def _serve(settings: Settings) -> None:
    Server(server_config(build_app(settings), host=settings.api_host, port=settings.api_port)).run()


def _serve_with_workers(settings: Settings) -> None:
    config = server_config(
        "kaireon_api.app:from_environment",
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_workers,
        is_factory=True,
    )
    with TemporaryDirectory(prefix="kaireon-metrics-") as directory:
        # The workers count together; each of them dies with this process.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # noqa: TID251  what the workers inherit
        os.environ["KAIREON_PARENT_PID"] = str(os.getpid())  # noqa: TID251  what the workers inherit
        listening = config.bind_socket()
        Multiprocess(config, sockets=[listening]).run()


def _require_free_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.api_host, settings.api_port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            refuse([f"API_PORT {settings.api_port} is {'taken' if taken else f'not usable: {error.strerror}'}"])


if __name__ == "__main__":
    main()
