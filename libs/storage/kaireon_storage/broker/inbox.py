"""What lies in the queues of the broker, taken by a process that is no Celery worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kaireon_storage.broker.address import BrokerAddress
from kaireon_storage.broker.thread import BrokerThread


class QueueItem(msgspec.Struct, frozen=True):
    """One item of a queue, as it lay there."""

    queue: str
    content: bytes


class BrokerInbox:
    """Takes items away for good: a message only says "look", and whoever takes it looks at every job."""

    def __init__(self, address: BrokerAddress | None) -> None:
        """Describe the broker, if there is one; nothing is opened before the first item is asked for."""
        self._thread = None if address is None else BrokerThread(address)

    async def take(self, queues: Sequence[str], count: int) -> list[QueueItem]:
        """Return up to `count` items of each queue, oldest first; none when the broker cannot be reached."""
        if self._thread is None:
            return []
        return await self._thread.call(lambda connection: _take(connection, queues, count)) or []

    async def close(self) -> None:
        """Close the connection."""
        if self._thread is not None:
            await self._thread.close()


def _take(connection: Any, queues: Sequence[str], count: int) -> list[QueueItem]:
    asked = [queue for queue in queues for _ in range(count)]
    # RPOP with a count is newer than Redis 5.
    with connection.default_channel.client.pipeline(transaction=False) as pipeline:
        for queue in asked:
            pipeline.rpop(queue)
        items = pipeline.execute()
    return [QueueItem(queue, item) for queue, item in zip(asked, items, strict=True) if item is not None]
