"""A scoring service on a real socket that answers, or misbehaves, as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as it came in, and on which connection, counted from 1."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    connection: int

    @property
    def offers(self) -> list[str]:
        """The ids of the candidates."""
        return [one["id"] for one in self.body["candidates"]]


Answer = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole response."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(body: bytes | str, status: str = "200 OK", *headers: str) -> Answer:
    """Return what always answers this body."""
    content = body.encode() if isinstance(body, str) else body
    return sends(response(content, status, *headers))


def sends(raw: bytes) -> Answer:
    """Return what always sends these bytes."""

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return answer


def scores(score: Callable[[dict[str, Any]], Any]) -> Answer:
    """Return what answers each candidate's score in the documented form."""

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        listed = [{"offerId": one["id"], "score": score(one)} for one in received.body["candidates"]]
        writer.write(response(json.dumps({"scores": listed}).encode()))

    return answer


@dataclass(kw_only=True)
class ScoringService:
    """The service; `answer` may be changed at any time."""

    scheme: str = "http"
    port: int = 0
    answer: Answer = field(default_factory=lambda: scores(lambda one: one["attributes"]["priority"] / 100))
    received: list[Received] = field(default_factory=list[Received])
    connections: int = 0
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set[Any])

    @property
    def url(self) -> str:
        """Where it is called."""
        return f"{self.scheme}://127.0.0.1:{self.port}/score"

    @property
    def calls(self) -> int:
        """How many requests have come in."""
        return len(self.received)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    received = await _request(reader, number)
                    self.received.append(received)
                    await self.answer(received, writer)
                    await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def stop(self) -> None:
        """End what still answers."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader, connection: int) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(
        method=method, path=path, headers=headers, body=json.loads(body) if body else None, connection=connection
    )


@asynccontextmanager
async def scoring_service(tls: ssl.SSLContext | None = None) -> AsyncGenerator[ScoringService]:
    """Serve on a free port."""
    service = ScoringService(scheme="http" if tls is None else "https")
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, ssl=tls)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        await service.stop()
