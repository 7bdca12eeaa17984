"""The tools over stdin and stdout, for a client that starts this process."""

from __future__ import annotations

import asyncio

from mcp.server.stdio import stdio_server

from kaireon_mcp.api import Caller
from kaireon_mcp.app import build_api
from kaireon_mcp.calls import Calls
from kaireon_mcp.gate import too_many
from kaireon_mcp.rate_limit import RateLimiter
from kaireon_mcp.server import Context, build_server
from kaireon_mcp.settings import StdioSettings
from kaireon_runtime.metrics import Metrics


def serve_stdio(settings: StdioSettings) -> None:
    """Serve until stdin ends."""
    asyncio.run(_serve(settings))


async def _serve(settings: StdioSettings) -> None:
    caller = Caller(api_key=settings.kaireon_api_key.get_secret_value(), tenant=settings.kaireon_tenant_id)
    limiter = RateLimiter(settings.key_limit)

    def who_calls(_context: Context) -> Caller:
        wait_seconds = limiter.take(caller.api_key)
        if wait_seconds:
            raise too_many(wait_seconds)
        return caller

    api = build_api(settings, settings.kaireon_api_url)
    calls = Calls(api, Metrics(), allow_writes=settings.mcp_allow_writes, argument_bytes=settings.mcp_argument_bytes)
    server = build_server(calls, who_calls)
    try:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())
    finally:
        await api.close()
