"""What is cached of a customer: read for an export, erased without fail."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kaireon_application.decisioning.facts import attributes_key, history_key
from kaireon_application.errors import Unavailable
from kaireon_storage.redis.connection import read_many


class RedisCachedCustomer:
    """The keys of a customer; unlike the cache of decisions it raises `Unavailable` while Redis is away."""

    def __init__(self, redis: Redis) -> None:
        """Take a client."""
        self._redis = redis

    async def rows(self, tenant_id: UUID, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return each key that is there with its value (MessagePack) in hexadecimal."""
        async with _reaching():
            keys = _keys(tenant_id, ids)
            values: Sequence[bytes | None] = await read_many(self._redis, keys) if keys else ()
        found = zip(keys, values, strict=True)
        return [{"key": key, "value": value.hex()} for key, value in found if value is not None]

    async def count(self, tenant_id: UUID, ids: Sequence[str]) -> int:
        """Return how many of the keys are there."""
        async with _reaching():
            return sum([int(await self._redis.exists(key)) for key in _keys(tenant_id, ids)])

    async def erase(self, tenant_id: UUID, ids: Sequence[str]) -> None:
        """Delete the keys."""
        async with _reaching():
            for key in _keys(tenant_id, ids):
                await self._redis.delete(key)


def _keys(tenant_id: UUID, ids: Sequence[str]) -> list[str]:
    return [key(str(tenant_id), id_) for id_ in ids for key in (attributes_key, history_key)]


@asynccontextmanager
async def _reaching() -> AsyncGenerator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable("Redis cannot be reached; try again: what it caches about a customer goes too") from error
