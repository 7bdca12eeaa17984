"""A TCP proxy that holds back every answer: a database that is some milliseconds away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

_CHUNK = 65_536


@asynccontextmanager
async def slow_proxy(host: str, port: int, delay_seconds: float) -> AsyncGenerator[int]:
    """Pass connections on until the block ends; yield the port to connect to.

    What the server sends arrives so much later; order and throughput stay.
    """
    connections = set[asyncio.Task[None]]()

    def accept(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(_pass_on(client, answers, (host, port), delay_seconds)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _pass_on(
    client: asyncio.StreamReader, answers: asyncio.StreamWriter, server_at: tuple[str, int], delay_seconds: float
) -> None:
    server, requests = await asyncio.open_connection(*server_at)
    try:
        await asyncio.gather(_pump(client, requests, 0.0), _pump(server, answers, delay_seconds))
    finally:
        for writer in (requests, answers):
            writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    while chunk := await source.read(_CHUNK):
        if delay_seconds:
            loop.call_later(delay_seconds, target.write, chunk)
        else:
            target.write(chunk)
            await target.drain()
    await asyncio.sleep(delay_seconds)
    with suppress(OSError):
        target.write_eof()
