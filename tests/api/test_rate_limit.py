"""Rate limits: per tenant and route, over all processes, without Redis per process, off unless set."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from kaireon_api.errors import RateLimited
from kaireon_api.operation import Limit
from kaireon_api.rate_limit import RateLimiter, limit_of, parse_limits
from kaireon_runtime.metrics import Metrics

PATH = "/api/v1/recommend"


async def taken(limiter: RateLimiter, limit: Limit, times: int, path: str = PATH) -> int:
    tenant_id = uuid4()
    count = 0
    for _ in range(times):
        with suppress(RateLimited):
            await limiter.take(tenant_id, path, limit)
            count += 1
    return count


@pytest.mark.parametrize("is_redis_up", [True, False])
async def test_no_more_than_the_limit_pass(redis_url: str, *, is_redis_up: bool) -> None:
    redis = Redis.from_url(redis_url if is_redis_up else "redis://127.0.0.1:1/0")
    limiter = RateLimiter(redis, Metrics())

    assert await taken(limiter, Limit(count=3, seconds=60), 5) == 3

    await redis.aclose()


async def test_routes_and_tenants_are_counted_apart(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    limiter = RateLimiter(redis, Metrics())
    tenant_id, limit = uuid4(), Limit(count=1, seconds=60)
    await limiter.take(tenant_id, PATH, limit)

    await limiter.take(uuid4(), PATH, limit)
    await limiter.take(tenant_id, "/api/v1/offers", limit)
    with pytest.raises(RateLimited) as refused:
        await limiter.take(tenant_id, PATH, limit)
    assert 1 <= refused.value.retry_after_seconds <= limit.seconds

    await redis.aclose()


def test_the_limit_of_a_route_is_its_own_else_that_of_its_first_segment_else_the_rest() -> None:
    limits = parse_limits("respond=1/1s, respond/bulk=2/2s,*=3/3s")

    assert [
        found.count
        for path in ("/api/v1/respond", "/api/v1/respond/bulk", "/api/v1/respond/{id}", "/api/v1/offers")
        if (found := limit_of(path, limits)) is not None
    ] == [1, 2, 1, 3]
    assert limit_of("/api/v1/offers", parse_limits("")) is None


@pytest.mark.parametrize("minutes", [-60, 60])
async def test_the_clocks_of_callers_do_not_count(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    redis = Redis.from_url(redis_url)
    limiter, tenant_id, limit = RateLimiter(redis, Metrics()), uuid4(), Limit(count=2, seconds=60)
    await limiter.take(tenant_id, PATH, limit)
    stepped = time.time() + minutes * 60
    monkeypatch.setattr(time, "time", lambda: stepped)
    await limiter.take(tenant_id, PATH, limit)
    with pytest.raises(RateLimited) as refused:
        await limiter.take(tenant_id, PATH, limit)
    assert 1 <= refused.value.retry_after_seconds <= limit.seconds
    await redis.aclose()


async def test_a_server_whose_clock_was_set_back_keeps_nobody_out(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    limiter, tenant_id, limit = RateLimiter(redis, Metrics()), uuid4(), Limit(count=1, seconds=60)
    await limiter.take(tenant_id, PATH, limit)
    name = f"kaireon:rate:{tenant_id}:recommend"
    members: Any = await redis.zrange(name, 0, -1)
    await redis.zadd(name, {members[0]: (time.time() + 3600) * 1000})
    await limiter.take(tenant_id, PATH, limit)
    with pytest.raises(RateLimited):
        await limiter.take(tenant_id, PATH, limit)
    await redis.aclose()
