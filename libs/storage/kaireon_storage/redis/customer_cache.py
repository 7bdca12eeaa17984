"""Forget cached customer data after its source has changed."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kaireon_application.decisioning.facts import attributes_key
from kaireon_runtime.catalogue import CACHE_ERRORS
from kaireon_runtime.metrics import Metrics

_KEYS_PER_COMMAND = 1_000


class RedisCustomerCache:
    """Deletes the cached attributes of customers."""

    def __init__(self, redis: Redis, metrics: Metrics) -> None:
        """Take a client; its time-out bounds how long a write waits for a cache that does not answer."""
        self._redis = redis
        self._metrics = metrics

    async def forget(self, tenant_id: UUID, customer_ids: Collection[str]) -> None:
        """Drop what is cached of these customers; a cache that cannot be reached is counted."""
        keys = iter([attributes_key(str(tenant_id), customer_id) for customer_id in customer_ids])
        try:
            while batch := list(islice(keys, _KEYS_PER_COMMAND)):
                await self._redis.delete(*batch)
        except RedisError:
            self._metrics.add(CACHE_ERRORS, "attributes")
