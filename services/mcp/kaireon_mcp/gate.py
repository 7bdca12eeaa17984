"""The door of `/mcp`: who may come in, and how often. What they may do there, the API says."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kaireon_mcp.api import Api, ApiError, Caller
from kaireon_mcp.forms import ApiRequest
from kaireon_mcp.rate_limit import RateLimiter
from kaireon_runtime.catalogue import RATE_LIMITED
from kaireon_runtime.metrics import Metrics

CALLER = "kaireon.caller"

_PATH = "/mcp"
_KEY = re.compile(r"krn_[!-~]{1,252}")
_TENANT = re.compile(r"[!-~]{1,255}")
_MOST_KNOWN = 10_000
# A key that was revoked meanwhile may list tools for so long; the API refuses each of its calls.
_BELIEVED_SECONDS = 30.0
# The least that a key of any role may ask.
_PROOF = ApiRequest(method="GET", path="/api/v1/channels", query={"limit": "1"})
_UNAUTHORIZED, _FORBIDDEN, _METHOD_NOT_ALLOWED, _TOO_MANY = 401, 403, 405, 429


class Gate:
    """Lets requests in that carry an API key which the API knows, so many of each key."""

    def __init__(self, app: ASGIApp, api: Api, limiter: RateLimiter, metrics: Metrics) -> None:
        self._app = app
        self._api = api
        self._limiter = limiter
        self._metrics = metrics
        self._known: OrderedDict[bytes, float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        try:
            caller = self._caller(scope)
            await self._admit(caller)
        except ApiError as error:
            await _refusal(error)(scope, receive, send)
            return
        await self._app({**scope, CALLER: caller}, receive, send)

    def _caller(self, scope: Scope) -> Caller:
        if scope["method"] != "POST":
            # Nothing is ever sent of the server's own accord, and there are no sessions to end.
            raise ApiError(_METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "/mcp takes POST", "")
        headers = Headers(scope=scope)
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or _KEY.fullmatch(key.strip()) is None:
            raise ApiError(_UNAUTHORIZED, "UNAUTHORIZED", "Send an API key: Authorization: Bearer krn_...", "")
        tenant = headers.get("x-tenant-id")
        if tenant and _TENANT.fullmatch(tenant) is None:
            raise ApiError(_FORBIDDEN, "FORBIDDEN", "X-Tenant-Id names no tenant", "")
        return Caller(api_key=key.strip(), tenant=tenant or None)

    async def _admit(self, caller: Caller) -> None:
        wait_seconds = self._limiter.take(caller.api_key)
        if wait_seconds:
            self._metrics.add(RATE_LIMITED, _PATH)
            raise too_many(wait_seconds)
        name = hashlib.sha256(f"{caller.api_key}\n{caller.tenant}".encode()).digest()
        if self._known.get(name, 0.0) > time.monotonic():
            return
        await self._api.call(caller, _PROOF)
        self._known[name] = time.monotonic() + _BELIEVED_SECONDS
        self._known.move_to_end(name)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)


def too_many(wait_seconds: int) -> ApiError:
    """Return that a key has asked too often."""
    message = f"Too many requests with this API key; try again in {wait_seconds} s"
    return ApiError(_TOO_MANY, "RATE_LIMITED", message, "", {"retryAfterSeconds": wait_seconds})


def _refusal(error: ApiError) -> Response:
    headers: dict[str, str] = {}
    if error.status == _UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status == _METHOD_NOT_ALLOWED:
        headers["Allow"] = "POST"
    if error.status == _TOO_MANY and isinstance(error.details, dict):
        headers["Retry-After"] = str(error.details["retryAfterSeconds"])  # pyright: ignore[reportUnknownArgumentType]
    content = msgspec.json.encode(error.document())
    return Response(content, error.status, headers, media_type="application/json")
