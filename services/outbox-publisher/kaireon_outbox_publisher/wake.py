"""Hints that there may be pending events. Losing one costs at most a poll interval, so no failure here is fatal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
from psycopg import sql
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from kaireon_application.platform.outbox import WAKE_POSTGRES_CHANNEL, WAKE_REDIS_CHANNEL
from kaireon_runtime.logs import Logger
from kaireon_storage.redis.connection import connect

_RETRY_SECONDS = 2.0
_QUIET_SECONDS = 30.0
_TIMEOUT_SECONDS = 5.0


def connect_hints(url: str) -> Redis:
    """Return a client whose server's silence is noticed."""
    return connect(url, _TIMEOUT_SECONDS, Retry(NoBackoff(), 0), health_check_interval=15)


async def keep_listening(listen: Callable[[], Awaitable[None]], source: str, log: Logger) -> None:
    """Run a listener for ever, again after every failure."""
    while True:
        try:
            await listen()
        except (psycopg.Error, RedisError, OSError) as error:
            log.debug("outbox-publisher wake-up lost", source=source, error=str(error))
        await asyncio.sleep(_RETRY_SECONDS)


async def listen_to_postgres(direct_url: str, wake: asyncio.Event) -> None:
    """Set `wake` on every notification; return or raise when the connection is over."""
    connection = await psycopg.AsyncConnection.connect(
        direct_url, autocommit=True, connect_timeout=3, application_name="kaireon-outbox-publisher-wake"
    )
    async with connection:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(WAKE_POSTGRES_CHANNEL)))
        # What was committed before LISTEN took hold was not heard.
        wake.set()
        while True:
            async for _ in connection.notifies(timeout=_QUIET_SECONDS, stop_after=1):
                wake.set()
            await connection.execute("SELECT 1")


async def listen_to_redis(client: Redis, wake: asyncio.Event) -> None:
    """Set `wake` on every message; raise when the connection is over."""
    # A client of a Cluster learns with its first command where channels are.
    await client.ping()
    async with client.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(WAKE_REDIS_CHANNEL)
        wake.set()
        while True:
            if await channel.get_message(timeout=_QUIET_SECONDS) is not None:
                wake.set()
            else:
                await channel.ping()
