"""The cache of customers' facts: one MGET reads, writes follow in the background."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

from kaireon_runtime.catalogue import CACHE_ERRORS
from kaireon_storage.redis.connection import read_many

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from kaireon_runtime.metrics import Metrics

_LABEL = "customer"
# After a failure the cache is left alone for so long: a Redis that is away must not slow every decision down.
_PAUSE_SECONDS = 1.0
# So long writes wait for each other: a round trip for many costs what it costs for one.
_GATHER_SECONDS = 0.02

# One command for many keys with a time to live each: KEYS, then their values, then their seconds.
_STORE = """
for i, key in ipairs(KEYS) do
    redis.call('SET', key, ARGV[i], 'EX', ARGV[#KEYS + i])
end
"""
# The same for the keys that are there.
_RENEW = _STORE.replace("ARGV[#KEYS + i])", "ARGV[#KEYS + i], 'XX')")


class RedisFactCache:
    """Implements `FactCache`: it never raises; a Redis that is away is a miss, and counted."""

    def __init__(self, redis: Redis, metrics: Metrics, *, is_filled: bool = True) -> None:
        """Use this client, whose time-outs are short; a cache that is not filled only renews what others put there."""
        self._redis = redis
        self._cluster = redis if isinstance(redis, RedisCluster) else None
        self._script = _STORE if is_filled else _RENEW
        self._metrics = metrics
        # What is being stored or soon will be: readers see it already.
        self._pending: dict[str, tuple[bytes, int]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._paused_until = 0.0

    async def read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Return the values of these keys in one round trip."""
        values: Sequence[bytes | None] = [None] * len(keys)
        if not self._is_paused():
            try:
                values = await read_many(self._redis, keys)
            except RedisError:
                self._pause()
        if self._pending.keys().isdisjoint(keys):
            return values
        return [
            self._pending[key][0] if key in self._pending else value for key, value in zip(keys, values, strict=True)
        ]

    def write(self, values: Sequence[tuple[str, bytes, int]]) -> None:
        """Store (key, value, seconds) some time soon, without waiting, together with what others write meanwhile."""
        for key, value, seconds in values:
            self._pending[key] = (value, seconds)
        if self._pending and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_pending())

    async def forget(self, keys: Sequence[str]) -> None:
        """Drop these keys."""
        for key in keys:
            self._pending.pop(key, None)
        if self._is_paused():
            return
        try:
            await self._redis.delete(*keys)
        except RedisError:
            self._pause()

    async def drain(self) -> None:
        """Wait until everything given to `write` is stored or has failed."""
        if self._writing is not None:
            await self._writing

    async def _write_pending(self) -> None:
        while self._pending:
            await asyncio.sleep(_GATHER_SECONDS)
            writing = dict(self._pending)
            if not self._is_paused():
                await self._store(writing)
            for key, value in writing.items():
                if self._pending.get(key) is value:
                    del self._pending[key]

    async def _store(self, writing: Mapping[str, tuple[bytes, int]]) -> None:
        try:
            if self._cluster is None:
                await cast("Awaitable[None]", self._redis.eval(self._script, *_arguments(writing)))
            else:
                await self._store_by_slot(self._cluster, writing)
        except RedisError:
            self._pause()

    async def _store_by_slot(self, cluster: RedisCluster, writing: Mapping[str, tuple[bytes, int]]) -> None:
        """Store with one command a slot, all in one round trip a node: a script's keys must lie together."""
        slots: defaultdict[int, dict[str, tuple[bytes, int]]] = defaultdict(dict)
        for key, value in writing.items():
            slots[cluster.keyslot(key)][key] = value
        async with cluster.pipeline(transaction=False) as pipeline:
            for part in slots.values():
                pipeline.eval(self._script, *_arguments(part))
            await pipeline.execute()

    def _is_paused(self) -> bool:
        return asyncio.get_running_loop().time() < self._paused_until

    def _pause(self) -> None:
        self._metrics.add(CACHE_ERRORS, _LABEL)
        self._paused_until = asyncio.get_running_loop().time() + _PAUSE_SECONDS


def _arguments(writing: Mapping[str, tuple[bytes, int]]) -> tuple[Any, ...]:
    values = [value for value, _ in writing.values()]
    seconds = [seconds for _, seconds in writing.values()]
    return (len(writing), *writing, *values, *seconds)
