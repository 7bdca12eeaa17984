"""Connecting to Redis: everything here is an optimisation, so nobody waits for it long."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

_TIMEOUT_SECONDS = 0.5


def open_redis(url: str) -> Redis:
    """Return a client; nothing is connected before its first command."""
    return Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        # Once more at once, for a connection that a restarted server has dropped; never a second wait.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
