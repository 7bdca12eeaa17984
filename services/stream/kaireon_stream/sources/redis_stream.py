"""Redis streams as a source, with commands that Redis 5 has: each key is a partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from kaireon_application.engagement.consume_events import InboundRecord
from kaireon_storage.redis.connection import connect
from kaireon_stream.source import Batch, SourceUnavailable

_TIMEOUT_SECONDS = 5.0
_WAIT_MS = 500
_COUNT = 500
_BEGINNING = "0-0"
# The field of an entry that holds the event.
FIELD = b"event"


class RedisStreamSource:
    """`Source` over the streams of these keys; the field `event` of an entry is the record."""

    def __init__(self, url: str, keys: Sequence[str]) -> None:
        self._client: Redis = connect(url, _TIMEOUT_SECONDS, Retry(NoBackoff(), 0), health_check_interval=15)
        self._keys = keys

    async def partitions(self) -> Sequence[str]:
        """Return the keys."""
        return self._keys

    async def read(self, partition: str, after: str | None) -> Batch:
        """Return entries after an id."""
        position = after or _BEGINNING
        try:
            found: Any = await self._client.xread({partition: position}, count=_COUNT, block=_WAIT_MS)
            entries: list[tuple[bytes, dict[bytes, bytes]]] = found[0][1] if found else []
            newest = await self._newest(partition) if len(entries) == _COUNT else None
        except (RedisError, OSError) as error:
            raise SourceUnavailable(f"Redis cannot be read: {error}") from error
        records = [InboundRecord(position=id_.decode(), content=fields.get(FIELD, b"")) for id_, fields in entries]
        lag_ms = 0 if newest is None else _instant_ms(newest) - _instant_ms(entries[-1][0])
        return Batch(records=records, lag_seconds=max(0.0, lag_ms / 1000))

    async def _newest(self, partition: str) -> bytes:
        entries = cast("list[tuple[bytes, object]]", await self._client.xrevrange(partition, count=1))
        return entries[0][0] if entries else _BEGINNING.encode()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _instant_ms(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])
