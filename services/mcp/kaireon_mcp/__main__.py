"""`python -m kaireon_mcp`: the tools over HTTP; with `--stdio` over stdin and stdout."""

from __future__ import annotations

import sys

import uvicorn

from kaireon_mcp.app import build_app
from kaireon_mcp.settings import Settings, StdioSettings
from kaireon_mcp.stdio import serve_stdio
from kaireon_runtime.lifecycle import DRAIN_SECONDS, KEEP_ALIVE_SECONDS, end_with_parent
from kaireon_runtime.logs import configure_logs
from kaireon_runtime.settings import EXIT_BAD_SETTINGS, load


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM, SIGINT or the end of stdin; calls in flight are answered."""
    if arguments not in ([], ["--stdio"]):
        sys.stderr.write("usage: python -m kaireon_mcp [--stdio]\n")
        raise SystemExit(EXIT_BAD_SETTINGS)
    if arguments:
        over_stdio(load(StdioSettings))
        return
    settings = load(Settings)
    configure_logs("mcp", settings.log_level, settings.log_format)
    end_with_parent(settings.kaireon_parent_pid)
    uvicorn.run(
        build_app(settings),
        host=settings.mcp_host,
        port=settings.mcp_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def over_stdio(settings: StdioSettings) -> None:
    """Serve over stdin and stdout; logs go to stderr."""
    configure_logs("mcp", settings.log_level, settings.log_format)
    end_with_parent(settings.kaireon_parent_pid)
    serve_stdio(settings)


if __name__ == "__main__":
    main(sys.argv[1:])
