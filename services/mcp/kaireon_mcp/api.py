"""The API as the tools call it: one request, one bounded answer, one kind of error for each thing that can go wrong."""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import version
from typing import Any

import httpx2
import msgspec

from kaireon_mcp.forms import ApiRequest

_CONNECT_SECONDS = 5.0
_CONNECTIONS = 64
_FIRST_ERROR = 400
_TOO_LONG = 414
_UNAVAILABLE = 503
_TOLD_BYTES = 200


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls a tool: an API key, and the tenant that it is meant for where they say so."""

    api_key: str
    tenant: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the API answered: the JSON document (None: nothing), and the id under which its logs have the request."""

    document: Any
    request_id: str


class _ErrorDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    code: str
    message: str
    request_id: str = ""
    details: Any = None


class _ErrorBody(msgspec.Struct, frozen=True):
    """An error of the API."""

    error: _ErrorDetail


class ApiError(Exception):
    """The API has refused, or cannot be reached. `status` is what it answered; 503 where it did not answer."""

    def __init__(self, status: int, code: str, message: str, request_id: str, details: Any = None) -> None:
        """Say what went wrong, in the API's words where there are any."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.details = details

    def document(self) -> dict[str, Any]:
        """Return it in the form of the API's errors."""
        told = {"code": self.code, "message": self.message, "status": self.status, "requestId": self.request_id}
        return {"error": told | ({"details": self.details} if self.details else {})}


class Api:
    """Calls one API, as whoever calls; the request ids begin with `mcp-`, which is how the audit log tells."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        answer_bytes: int,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Call `url`, or in its place what `transport` leads to."""
        self._timeout_seconds = timeout_seconds
        self._answer_bytes = answer_bytes
        self._client = httpx2.AsyncClient(
            base_url=url,
            transport=transport,
            timeout=httpx2.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=_CONNECTIONS),
            headers={"User-Agent": f"kaireon-mcp/{version('kaireon-mcp')}", "Accept": "application/json"},
            # A proxy in the environment is for the world outside, not for this.
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(self, caller: Caller | None, request: ApiRequest) -> Answer:
        """Send one request, once. Raises `ApiError`."""
        request_id = f"mcp-{os.urandom(16).hex()}"
        headers = {"X-Request-Id": request_id}
        if caller is not None:
            headers["Authorization"] = f"Bearer {caller.api_key}"
            headers |= {} if caller.tenant is None else {"X-Tenant-Id": caller.tenant}
        content = None if request.body is None else msgspec.json.encode(request.body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, raw = await self._exchange(request, headers, content, request_id)
        except (TimeoutError, httpx2.TimeoutException):
            message = f"the API has not answered within {self._timeout_seconds:g} s"
            raise ApiError(_UNAVAILABLE, "UNAVAILABLE", message, request_id) from None
        except httpx2.InvalidURL:
            raise ApiError(_TOO_LONG, "URI_TOO_LONG", "the arguments make too long a path", request_id) from None
        except httpx2.HTTPError as error:
            message = f"the API cannot be reached ({type(error).__name__}); try again"
            raise ApiError(_UNAVAILABLE, "UNAVAILABLE", message, request_id) from None
        return _read(status, raw, request_id)

    async def _exchange(
        self, request: ApiRequest, headers: dict[str, str], content: bytes | None, request_id: str
    ) -> tuple[int, bytes]:
        query = dict(request.query) or None
        async with self._client.stream(
            request.method, request.path, params=query, headers=headers, content=content
        ) as answer:
            parts, size = list[bytes](), 0
            async for part in answer.aiter_bytes():
                size += len(part)
                if size > self._answer_bytes:
                    message = f"the answer has more than {self._answer_bytes} bytes; ask for less"
                    raise ApiError(answer.status_code, "ANSWER_TOO_LARGE", message, request_id)
                parts.append(part)
            return answer.status_code, b"".join(parts)


def _read(status: int, raw: bytes, request_id: str) -> Answer:
    try:
        document = msgspec.json.decode(raw) if raw else None
    except msgspec.DecodeError:
        told = raw[:_TOLD_BYTES].decode(errors="replace")
        raise ApiError(status, "NO_JSON", f"the API answered {status} without JSON: {told}", request_id) from None
    if status < _FIRST_ERROR:
        return Answer(document=document, request_id=request_id)
    raise _refusal(status, document, request_id)


def _refusal(status: int, document: Any, request_id: str) -> ApiError:
    try:
        body = msgspec.convert(document, _ErrorBody).error
    except msgspec.ValidationError:
        return ApiError(status, "REFUSED", f"the API answered {status}", request_id)
    return ApiError(status, body.code, body.message, body.request_id or request_id, body.details)
