"""The tools over Streamable HTTP: a service of its own, or a path of the API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import httpx2
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kaireon_mcp.api import Api, ApiError, Caller
from kaireon_mcp.calls import Calls
from kaireon_mcp.forms import ApiRequest
from kaireon_mcp.gate import CALLER, Gate
from kaireon_mcp.rate_limit import RateLimiter
from kaireon_mcp.server import Context, build_server
from kaireon_mcp.settings import Settings
from kaireon_runtime.listed import listed
from kaireon_runtime.mcp_settings import McpSettings
from kaireon_runtime.metrics import CONTENT_TYPE, Metrics

_LOCAL = ("127.0.0.1", "localhost", "[::1]")
# What a message has beside the arguments of its call.
_ENVELOPE_BYTES = 64 * 1024
_API_ALIVE = ApiRequest(method="GET", path="/api/health")


class ToolPath:
    """What answers `/mcp`; it serves from when `running` is entered until it is left."""

    def __init__(self, api: Api, settings: McpSettings, metrics: Metrics) -> None:
        self.api = api
        calls = Calls(api, metrics, allow_writes=settings.mcp_allow_writes, argument_bytes=settings.mcp_argument_bytes)
        # Without sessions any process answers any request, and a key is looked at on each.
        self._manager = StreamableHTTPSessionManager(
            build_server(calls, _caller_of),
            json_response=True,
            stateless=True,
            security_settings=_allowed(settings),
            max_request_body_size=settings.mcp_argument_bytes + _ENVELOPE_BYTES,
        )
        limiter = RateLimiter(settings.key_limit)
        self._gate = Gate(self._manager.handle_request, api, limiter, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._gate(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.api.close)
            await stack.enter_async_context(self._manager.run())
            yield


def build_api(settings: McpSettings, url: str, transport: httpx2.AsyncBaseTransport | None = None) -> Api:
    """Return the API at `url`, or where `transport` leads."""
    return Api(
        url,
        timeout_seconds=settings.mcp_timeout_seconds,
        answer_bytes=settings.mcp_answer_bytes,
        transport=transport,
    )


def build_app(settings: Settings) -> Starlette:
    """Return the service."""
    metrics = Metrics()
    path = ToolPath(build_api(settings, settings.kaireon_api_url), settings, metrics)

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        try:
            await path.api.call(None, _API_ALIVE)
        except ApiError as error:
            return JSONResponse({"status": "unavailable", "reason": error.message}, 503)
        return JSONResponse({"status": "ok"})

    async def render(_request: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/mcp", path),
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", render),
        ],
        lifespan=lambda _app: path.running(),
    )


def inside(app: ASGIApp, settings: McpSettings, metrics: Metrics) -> ToolPath:
    """Return `/mcp` for an API that runs in this process: its tools call it without a network between."""
    transport = httpx2.ASGITransport(app=app, client=("mcp", 0))
    return ToolPath(build_api(settings, "http://api", transport), settings, metrics)


def _allowed(settings: McpSettings) -> TransportSecuritySettings:
    hosts = [*_LOCAL, *(f"{host}:*" for host in _LOCAL), *listed(settings.mcp_allowed_hosts)]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=list(listed(settings.mcp_allowed_origins)))


def _caller_of(context: Context) -> Caller:
    request = cast("Request", context.request)
    return request.scope[CALLER]
