"""`GET /health`, `/ready` and `/metrics`: what a container's probes and Prometheus ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import msgspec

from kaireon_runtime.metrics import CONTENT_TYPE, Metrics

_READ_SECONDS = 5.0
_MAX_REQUEST_BYTES = 8192


class Pulse:
    """When the relay last went round, and whether that succeeded. Instants are of the monotonic clock."""

    def __init__(self, monotonic: Callable[[], float], stale_after_seconds: float) -> None:
        self._monotonic = monotonic
        self._stale_after_seconds = stale_after_seconds
        self._beaten_at = monotonic()
        self._has_succeeded = False

    def beat(self, *, has_succeeded: bool) -> None:
        """Note one round of the relay."""
        self._beaten_at = self._monotonic()
        self._has_succeeded = has_succeeded

    @property
    def is_alive(self) -> bool:
        """Whether the relay goes round at all: an unreachable sink or database does not make it dead."""
        return self._monotonic() - self._beaten_at < self._stale_after_seconds

    @property
    def is_ready(self) -> bool:
        """Whether the last round reached Postgres and the sink."""
        return self.is_alive and self._has_succeeded


class HealthServer:
    """A tiny HTTP/1.1 server: one request per connection, three paths."""

    def __init__(self, pulse: Pulse, metrics: Metrics) -> None:
        self._pulse = pulse
        self._metrics = metrics

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen. Raises `OSError` when the port is taken."""
        return await asyncio.start_server(self._serve, host, port, limit=_MAX_REQUEST_BYTES)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head.split(b"\r\n", 1)[0].decode("latin-1")))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # Whoever it was has gone or does not speak HTTP; a probe would ask again.
        finally:
            writer.close()

    def _answer(self, request_line: str) -> bytes:
        method, _, rest = request_line.partition(" ")
        path = rest.split(" ", 1)[0].split("?", 1)[0]
        if method not in {"GET", "HEAD"}:
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"", method)
        if path == "/metrics":
            return _response(HTTPStatus.OK, CONTENT_TYPE, self._metrics.render(), method)
        states = {"/health": self._pulse.is_alive, "/ready": self._pulse.is_ready}
        if path not in states:
            return _response(HTTPStatus.NOT_FOUND, "text/plain", b"", method)
        status = HTTPStatus.OK if states[path] else HTTPStatus.SERVICE_UNAVAILABLE
        body = msgspec.json.encode({"status": "ok" if states[path] else "unavailable"})
        return _response(status, "application/json", body, method)


def _response(status: HTTPStatus, content_type: str, body: bytes, method: str) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode("latin-1")
    return head if method == "HEAD" else head + body
