"""From an HTTP request to an operation and back: every check in its order, one answer sent.

The order is the contract's: 401; 403; 414 and 431; 404 for an id in the path; 413; 415; 400 (`endpoint.py`); then what
the handler finds: 404 for a reference inside the body; 409; 422.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable
from contextlib import aclosing
from http import HTTPStatus
from uuid import UUID

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from starlette.types import Receive, Scope, Send

from kaireon_api.auth import require_role
from kaireon_api.body import ClientGone, check_head
from kaireon_api.cron_gate import CronGate
from kaireon_api.endpoint import Endpoint, Request, encode
from kaireon_api.errors import MethodNotAllowed, Unexpected, error_reply
from kaireon_api.operation import Operation, Principal, Reply, Role
from kaireon_api.rate_limit import RateLimiter, parse_limits
from kaireon_api.route_table import Match, RouteTable
from kaireon_api.services import Services
from kaireon_application.errors import KaireonError, NotFound, Unavailable
from kaireon_runtime.catalogue import HTTP_REQUEST_DURATION, UNEXPECTED_ERRORS
from kaireon_runtime.logs import HTTP, logger
from kaireon_runtime.origin import Origin, origin, work_for
from kaireon_runtime.tracing import spanning

_BUSINESS = "/api/v1/"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NOBODY = Principal(tenant_id=UUID(int=0), tenant_key="", key_id=UUID(int=0), key_name="", role=Role.NONE)
_UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")


class Dispatcher:
    """Answers HTTP requests with the operations it was given."""

    def __init__(self, services: Services, operations: Iterable[Operation]) -> None:
        self._services = services
        settings = services.settings
        limits = parse_limits(settings.rate_limits)
        self._table = RouteTable(Endpoint(operation, limits) for operation in operations)
        self._limiter = RateLimiter(services.redis, services.metrics)
        self._cron_gate = CronGate(settings, self._limiter)
        self._log = logger("kaireon.api")
        self._http_log = logging.getLogger("kaireon.api.http")
        self._is_http_logged = self._http_log.isEnabledFor(HTTP)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given_id = headers.get("x-request-id", "")
        request_id = given_id if _REQUEST_ID.fullmatch(given_id) else os.urandom(16).hex()
        with spanning(self._services.tracing, "request", "server", headers.get("traceparent")) as trace:
            work_for(Origin((request_id,), traces=() if trace is None else (trace,)))
            method, route, status = await self._respond(scope, receive, send, headers, request_id)
            if trace is not None:
                names = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
                who = {"kaireon.request_id": request_id, "kaireon.tenant_id": str(origin().tenant_id or "")}
                is_failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
                trace.tell({**names, **who}, name=f"{method} {route}", is_failed=is_failed)

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str], request_id: str
    ) -> tuple[str, str, int]:
        """Answer, and return the method, the path's template and the status; no status when nobody waits any more."""
        started_at = time.perf_counter()
        try:
            reply, route = await self._reply(scope, receive, headers, request_id)
        except ClientGone:
            return "other", _UNMATCHED, 0
        await _send(reply, scope["path"], request_id, send)
        # Any text may come as a method, and each label value lives for ever.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._note(method, route, reply.status, time.perf_counter() - started_at)
        return method, route, reply.status

    async def _reply(
        self, scope: Scope, receive: Receive, headers: dict[str, str], request_id: str
    ) -> tuple[Reply, str]:
        """Return the answer, an error's included, and the path's template."""
        route = _UNMATCHED
        try:
            match = self._table.find(_looked_up(scope["method"]), scope["path"], scope["raw_path"])
            if match.target is None:
                return await self._refuse(match, scope, headers), route
            route = match.target.path
            return await self._answer(match.target, match, scope, receive, headers, request_id), route
        except KaireonError as error:
            return error_reply(error, request_id), route
        except (RedisConnectionError, RedisTimeoutError):
            return error_reply(Unavailable("Redis cannot be reached; try again"), request_id), route
        except ClientGone:
            raise
        except Exception:  # noqa: BLE001  the outermost loop of this process
            self._services.metrics.add(UNEXPECTED_ERRORS, "api")
            self._log.exception("Unexpected error", route=route)
            return error_reply(Unexpected(), request_id), route

    async def _answer(
        self,
        endpoint: Endpoint,
        match: Match[Endpoint],
        scope: Scope,
        receive: Receive,
        headers: dict[str, str],
        request_id: str,
    ) -> Reply:
        principal = await self._authorized(endpoint, headers, _client(scope))
        if principal is not _NOBODY:
            work_for(Origin((request_id,), principal.tenant_id, traces=origin().traces))
        check_head(scope)
        if endpoint.limit is not None and principal is not _NOBODY:
            await self._limiter.take(principal.tenant_id, endpoint.path, endpoint.limit)
        return await endpoint.answer(
            Request(
                services=self._services,
                principal=principal,
                request_id=request_id,
                path=match.parameters,
                query_string=scope["query_string"],
                headers=headers,
                receive=receive,
                is_alias=match.is_alias,
                client=_client(scope),
            )
        )

    async def _authorized(self, endpoint: Endpoint, headers: dict[str, str], client: str) -> Principal:
        role = endpoint.operation.role
        if role is Role.NONE:
            return _NOBODY
        if role is Role.CRON:
            await self._cron_gate.admit(endpoint.path, headers, client)
            return _NOBODY
        principal = await self._services.authenticator.principal(headers)
        require_role(principal, role)
        return principal

    async def _refuse(self, match: Match[Endpoint], scope: Scope, headers: dict[str, str]) -> Reply:
        """Say that there is no such path or method; below /api/v1 only to callers with a key."""
        if scope["path"].startswith(_BUSINESS):
            await self._services.authenticator.principal(headers)
        check_head(scope)
        if match.allowed:
            raise MethodNotAllowed(match.allowed)
        raise NotFound("There is no such path; see /api/docs")

    def _note(self, method: str, route: str, status: int, seconds: float) -> None:
        self._services.metrics.observe(HTTP_REQUEST_DURATION, seconds, method, route, str(status))
        if self._is_http_logged:
            # structlog's own methods know the standard levels only.
            answered = {"method": method, "route": route, "status": status}
            self._http_log.log(HTTP, "Request answered", extra={**answered, "durationMs": round(seconds * 1000, 3)})


def _looked_up(method: str) -> str:
    return "GET" if method == "HEAD" else method


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


async def _send(reply: Reply, path: str, request_id: str, send: Send) -> None:
    """Send head and body; a server drops the body of an answer to HEAD."""
    headers = [(b"x-request-id", request_id.encode("latin-1")), _NO_SNIFFING]
    if path.startswith(_BUSINESS):
        headers.append(_NO_STORE)
    body = b"" if reply.content is None else encode(reply.content)
    if reply.content is not None or reply.stream is not None:
        headers.append((b"content-type", reply.media_type.encode("latin-1")))
    if reply.stream is None and reply.status != 204:  # noqa: PLR2004  No Content: the one status that must not announce a length
        headers.append((b"content-length", str(len(body)).encode("latin-1")))
    headers.extend((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items())
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.stream is not None:
        async with aclosing(reply.stream) as parts:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": body})
