"""The cache of customers' facts, on a real server."""

from __future__ import annotations

import pytest

from kaireon_runtime.metrics import Metrics
from kaireon_storage.redis.connection import open_redis
from kaireon_storage.redis.fact_cache import RedisFactCache


@pytest.mark.parametrize(("is_filled", "stored"), [(True, [b"2", b"2"]), (False, [b"2", None])])
async def test_a_cache_that_is_not_filled_renews_what_is_there(
    redis_url: str, is_filled: bool, stored: list[bytes | None]
) -> None:
    async with open_redis(redis_url) as redis:
        await redis.set("known", b"1")
        cache = RedisFactCache(redis, Metrics(), is_filled=is_filled)

        cache.write([("known", b"2", 60), ("new", b"2", 60)])
        assert await cache.read(["known", "new"]) == [b"2", b"2"]
        await cache.drain()

        assert await cache.read(["known", "new"]) == stored
        assert 0 < await redis.ttl("known") <= 60
