"""The load generator: a closed loop over keep-alive connections, in a process of its own.

Reads one `Plan` from standard input, writes one `Outcome` to standard output. Each connection sends its next request
when the last one is answered: no pipelining, so the offered load is what the server can take at this concurrency.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

OK = 200


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, from how many connections, for how long."""

    url: str
    headers: dict[str, str]
    bodies: list[bytes]
    connections: int
    seconds: float
    first: int = 0
    """The body to begin with, so that rounds go on over the customers instead of starting again."""
    empty_mark: bytes = b""
    """What an answer contains when it decided nothing."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: latencies of the requests that were answered 200, in microseconds."""

    seconds: float
    latencies_us: list[int]
    errors: int
    empty: int
    sample: bytes
    complaint: str


class Run:
    """The state that all connections of one run share."""

    def __init__(self, plan: Plan) -> None:
        """Render every request once: nothing but sockets is left for the loop."""
        address = urlsplit(plan.url)
        head = f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
        self.requests = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in plan.bodies]
        self.next = plan.first
        self.deadline = 0.0
        self.latencies_us: list[int] = []
        self.errors = 0
        self.empty = 0
        self.empty_mark = plan.empty_mark
        self.sample = b""
        self.complaint = ""

    def take(self) -> bytes:
        """Return the next request, over and over."""
        self.next += 1
        return self.requests[self.next % len(self.requests)]

    def record(self, began: float, status: int, body: bytes) -> None:
        """Count one answer."""
        if status == OK:
            self.latencies_us.append(round((time.perf_counter() - began) * 1e6))
            self.sample = body
            self.empty += bool(self.empty_mark) and self.empty_mark in body
        else:
            self.errors += 1
            self.complaint = f"{status} {body[:200].decode(errors='replace')}"


class Connection(asyncio.Protocol):
    """One keep-alive connection: send, wait for the whole answer, send again."""

    def __init__(self, run: Run) -> None:
        """Belong to a run; nothing is sent before the connection is made."""
        self.run = run
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = bytearray()
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class, which does not inherit from it
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take the answer when it is complete, and go on."""
        self.buffer += data
        answer = parse(self.buffer)
        if answer is None:
            return
        status, body = answer
        self.buffer.clear()
        self.run.record(self.began, status, body)
        if time.perf_counter() < self.run.deadline:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a server that hangs up before the deadline is an error."""
        if not self.transport.is_closing() or time.perf_counter() < self.run.deadline:
            self.run.errors += 1
            self.run.complaint = f"connection lost: {exc}"
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        request = self.run.take()
        self.began = time.perf_counter()
        self.transport.write(request)


def parse(answer: bytearray) -> tuple[int, bytes] | None:
    """Return status and body of a whole HTTP/1.1 answer with Content-Length, or None while it is incomplete."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(answer[:end]).lower()
    marker = head.find(b"content-length:")
    if marker < 0:
        message = "the answer has no Content-Length"
        raise ValueError(message)
    length = int(head[marker + 15 :].split(b"\r\n", 1)[0])
    if len(answer) < end + 4 + length:
        return None
    return int(head[9:12]), bytes(answer[end + 4 : end + 4 + length])


async def offer(plan: Plan) -> Outcome:
    """Run the plan and return what came back."""
    run = Run(plan)
    address = urlsplit(plan.url)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    run.deadline = began + plan.seconds
    opened = [
        await loop.create_connection(lambda: Connection(run), address.hostname or "", address.port or 80)
        for _ in range(plan.connections)
    ]
    await asyncio.wait_for(asyncio.gather(*(connection.done for _, connection in opened)), plan.seconds + 30)
    return Outcome(
        seconds=time.perf_counter() - began,
        latencies_us=run.latencies_us,
        errors=run.errors,
        empty=run.empty,
        sample=run.sample,
        complaint=run.complaint,
    )


def main() -> None:
    """Read the plan, run it on uvloop, write the outcome."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(offer(plan))))


if __name__ == "__main__":
    main()
