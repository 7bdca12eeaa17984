"""`/mcp` as a path of this API: with MCP_ENABLED the tools of `kaireon_mcp`, which call it in this process."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from kaireon_api.settings import Settings
from kaireon_runtime.metrics import Metrics

if TYPE_CHECKING:
    from kaireon_mcp.app import ToolPath

MCP_PATH = "/mcp"


def is_mcp_installed() -> bool:
    """Return whether MCP_ENABLED can be heeded in this environment."""
    return find_spec("kaireon_mcp") is not None


def mounted_mcp(app: ASGIApp, settings: Settings, metrics: Metrics) -> ToolPath | None:
    """Return what answers `/mcp`; None where nothing does."""
    if not settings.mcp_enabled:
        return None
    from kaireon_mcp.app import inside  # noqa: PLC0415  an extra, loaded only where it is asked for

    return inside(app, settings, metrics)
