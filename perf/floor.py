"""The floor: what the API's kind of server does at best, one validated body in and one Redis MGET.

One uvicorn process on uvloop and httptools, Starlette, msgspec: the API's stack, without a decision and a commit.
It prints its port, serves until its standard input closes, and so never outlives the benchmark.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import redis.asyncio as redis
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

KEY_PREFIX = "kaireon:perf:"
# As many keys as a decision loads on a hit: attributes, contact history, suppressions.
KEYS_PER_REQUEST = 3
PREPARED_CUSTOMERS = 512
VALUE = b"x" * 128
EXPIRES_SECONDS = 3600


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body that the benchmark sends to both servers."""

    customer_id: str
    decision_flow_key: str
    limit: int
    channel_id: str
    context: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Enough to see that Redis was asked."""

    customer_id: str
    found: int


def build_app(redis_url: str) -> Starlette:
    """Return the floor's application on one Redis."""
    client = redis.Redis.from_url(redis_url)
    decoder = msgspec.json.Decoder(Body)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        await _prepare(client)
        yield
        await client.aclose()

    async def answer(request: Request) -> Response:
        body = decoder.decode(await request.body())
        slot = hash(body.customer_id) % PREPARED_CUSTOMERS
        values = await client.mget(_keys(slot))
        found = sum(value is not None for value in values)
        return Response(
            msgspec.json.encode(Answer(customer_id=body.customer_id, found=found)), media_type="application/json"
        )

    return Starlette(routes=[Route("/floor", answer, methods=["POST"])], lifespan=lifespan)


def _keys(slot: int) -> list[str]:
    return [f"{KEY_PREFIX}{slot}:{index}" for index in range(KEYS_PER_REQUEST)]


async def _prepare(client: redis.Redis) -> None:
    """Write the values that the MGET finds; they expire by themselves."""
    async with client.pipeline(transaction=False) as pipeline:
        for slot in range(PREPARED_CUSTOMERS):
            for key in _keys(slot):
                pipeline.set(key, VALUE, ex=EXPIRES_SECONDS)
        await pipeline.execute()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve on a free port of loopback; REDIS_URL is the first argument."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = uvicorn.Config(
        build_app(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
