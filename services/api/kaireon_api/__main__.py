"""`python -m kaireon_api`: the HTTP tier."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

from uvicorn.supervisors import Multiprocess

from kaireon_api.app import build_app
from kaireon_api.mounted_mcp import is_mcp_installed
from kaireon_api.server import Server, server_config
from kaireon_api.settings import Settings
from kaireon_api.worker_beside import is_worker_installed, worker_beside
from kaireon_runtime.lifecycle import end_with_parent
from kaireon_runtime.logs import configure_logs
from kaireon_runtime.settings import load, refuse
from kaireon_storage.broker.address import broker_or_refuse
from kaireon_storage.interactions.opening import require_stores


def main() -> None:
    """Serve until told to end."""
    settings = load(Settings)
    configure_logs("api", settings.log_level, settings.log_format)
    end_with_parent(settings.kaireon_parent_pid)
    _require_free_port(settings)
    require_stores(settings)
    if settings.mcp_enabled and not is_mcp_installed():
        refuse(["MCP_ENABLED needs the package kaireon-mcp: install kaireon-api[mcp], or set MCP_ENABLED=false"])
    if not settings.worker_inprocess:
        broker_or_refuse(settings.broker_url)
        _serve(settings, _nothing)
        return
    if not is_worker_installed():
        refuse(["WORKER_INPROCESS needs the package kaireon-worker: install it, or set WORKER_INPROCESS=0"])
    # uvicorn raises again, at its end, the signal that ended it: the worker has to be waited for all the same.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    with worker_beside() as (worker, poke_socket):
        os.environ["WORKER_POKE_SOCKET"] = str(poke_socket)  # noqa: TID251  what API processes inherit
        _serve(settings.model_copy(update={"worker_poke_socket": poke_socket}), worker.begin_to_stop)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise SystemExit(0)


def _nothing() -> None:
    """Nobody else has to be told that the end has come."""


def _serve(settings: Settings, on_stop: Callable[[], None]) -> None:
    if settings.api_workers == 1:
        config = server_config(build_app(settings), host=settings.api_host, port=settings.api_port)
        Server(config, on_stop).run()
    else:
        _serve_with_workers(settings, on_stop)


class _Processes(Multiprocess):
    """Several API processes, and somebody who is told as soon as they are told to end."""

    on_stop: Callable[[], None] = staticmethod(_nothing)

    def handle_term(self) -> None:
        self.on_stop()
        super().handle_term()

    def handle_int(self) -> None:
        self.on_stop()
        super().handle_int()


def _serve_with_workers(settings: Settings, on_stop: Callable[[], None]) -> None:
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
        processes = _Processes(config, sockets=[listening])
        processes.on_stop = on_stop
        processes.run()


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
