"""Rate limits: so many requests of one tenant on one route in a sliding window, off unless RATE_LIMITS says so."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from uuid import UUID, uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kaireon_api.errors import RateLimited
from kaireon_api.operation import Limit
from kaireon_runtime.catalogue import RATE_LIMIT_FALLBACK, RATE_LIMITED
from kaireon_runtime.listed import listed
from kaireon_runtime.metrics import Metrics

_API = "/api/v1/"
_REST = "*"

# One key per window, so it runs on a cluster; an attempt that is refused does not prolong the wait. The clock is the
# server's: callers need not agree on theirs, and what it wrote before it was set back is forgotten.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('ZADD', KEYS[1], now, ARGV[3])
    redis.call('PEXPIRE', KEYS[1], ARGV[1] + 1000)
    return 0
end
return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] + ARGV[1] - now
"""


def parse_limits(text: str) -> dict[str, Limit]:
    """Return the limits by route, from a text that `Settings` has found well formed."""
    limits: dict[str, Limit] = {}
    for part in listed(text):
        route, _, amount = part.partition("=")
        count, _, seconds = amount.removesuffix("s").partition("/")
        limits[route] = Limit(count=int(count), seconds=int(seconds))
    return limits


def limit_of(path: str, limits: Mapping[str, Limit], own: Limit | None = None) -> Limit | None:
    """Return the limit of a path: the one set for it, for its first segment, the operation's own, the one of `*`."""
    route = path.removeprefix(_API)
    named = limits.get(route) or limits.get(route.partition("/")[0])
    return named or own or limits.get(_REST)


class RateLimiter:
    """Counts in Redis, so over all processes; where Redis does not answer, each process counts for itself."""

    def __init__(self, redis: Redis, metrics: Metrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)

    async def take(self, caller: UUID | str, path: str, limit: Limit) -> None:
        """Count one request of a tenant, or of whom a name stands for. Raises `RateLimited` when it is one too many."""
        name = f"kaireon:rate:{caller}:{path.removeprefix(_API)}"
        try:
            wait_ms = await self._take_from_redis(name, limit)
        except (RedisError, OSError, TimeoutError):
            self._metrics.add(RATE_LIMIT_FALLBACK)
            wait_ms = self._take_from_memory(name, limit)
        if wait_ms > 0:
            self._metrics.add(RATE_LIMITED, path)
            raise RateLimited(max(1, math.ceil(wait_ms / 1000)))

    async def _take_from_redis(self, name: str, limit: Limit) -> float:
        arguments = (limit.seconds * 1000, limit.count, str(uuid4()))
        return float(await self._redis.eval(_TAKE, 1, name, *arguments))

    def _take_from_memory(self, name: str, limit: Limit) -> float:
        now = time.monotonic()
        taken = self._taken[name]
        while taken and taken[0] <= now - limit.seconds:
            taken.popleft()
        if len(taken) < limit.count:
            taken.append(now)
            return 0
        return (taken[0] + limit.seconds - now) * 1000
