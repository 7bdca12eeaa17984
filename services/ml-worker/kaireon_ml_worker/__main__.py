"""`python -m kaireon_ml_worker`."""

from __future__ import annotations

import uvicorn

from kaireon_ml_worker.app import build_app
from kaireon_ml_worker.settings import Settings
from kaireon_runtime.lifecycle import DRAIN_SECONDS, KEEP_ALIVE_SECONDS, end_with_parent
from kaireon_runtime.logs import configure_logs
from kaireon_runtime.settings import load


def main() -> None:
    """Serve until SIGTERM or SIGINT; calls in flight are answered."""
    settings = load(Settings)
    configure_logs("ml-worker", settings.log_level, settings.log_format)
    end_with_parent(settings.kaireon_parent_pid)
    uvicorn.run(
        build_app(settings),
        host=settings.ml_worker_host,
        port=settings.ml_worker_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


if __name__ == "__main__":
    main()
