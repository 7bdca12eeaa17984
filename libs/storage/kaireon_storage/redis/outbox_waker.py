"""Telling the outbox publisher that there is something to relay: a hint after the commit, never part of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from kaireon_application.platform.outbox import WAKE_REDIS_CHANNEL

# The first commit after a pause is hinted at once, those after it together: relaying many costs little more than one.
_PAUSE_SECONDS = 0.2

Item = TypeVar("Item")


class OutboxWaker:
    """Publishes at most one hint per pause; without Redis the publisher finds the rows by polling."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._hinting: asyncio.Task[None] | None = None
        self._is_wanted = False

    def after(
        self, commit: Callable[[Sequence[Item]], Awaitable[Sequence[bool]]]
    ) -> Callable[[Sequence[Item]], Awaitable[Sequence[bool]]]:
        """Return the commit followed by a hint."""

        async def commit_and_hint(changes: Sequence[Item]) -> Sequence[bool]:
            results = await commit(changes)
            self.hint()
            return results

        return commit_and_hint

    def hint(self) -> None:
        """Wake the publisher some time soon, without waiting."""
        self._is_wanted = True
        if self._hinting is None or self._hinting.done():
            self._hinting = asyncio.create_task(self._hint())

    async def drain(self) -> None:
        """Wait until no hint is under way."""
        if self._hinting is not None:
            await self._hinting

    async def _hint(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            try:
                await self._redis.publish(WAKE_REDIS_CHANNEL, "")
            except RedisError:
                return
            await asyncio.sleep(_PAUSE_SECONDS)
