"""The Redis stream as an event sink, with commands that Redis 5 has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kaireon_application.platform.outbox import OutboxEvent, SinkUnavailable
from kaireon_outbox_publisher.sinks.envelope import headers_of, payload_of
from kaireon_storage.redis.connection import connect as open_connection

# Replies with the general code that say something about the server all the same: every event would meet them.
_SERVER_FAULTS = ("unknown command", "The stream has exhausted")
_TIMEOUT_SECONDS = 5.0
_TRIM_LOCK = "kaireon:outbox:trimmed"
_TRIM_INTERVAL_SECONDS = 60
_TRIM_STEP = 500


def connect(url: str) -> Redis:
    """Return a client that never repeats a command by itself: it could not know what the first one did."""
    return open_connection(url, _TIMEOUT_SECONDS, Retry(NoBackoff(), 0), health_check_interval=15)


class RedisStreamSink:
    """`EventSink` that appends to one stream; a reply from Redis is the acknowledgement.

    Entry fields: `id`, `type`, `tenantId`, `key`, `timestamp` (when the event was committed), `payload` (JSON).
    """

    def __init__(self, client: Redis, stream: str, retention: timedelta) -> None:
        self._client = client
        self._stream = stream
        self._retention = retention
        self._has_failed = False

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        """Append every event in one pipeline, and look at every reply."""
        is_suspect = self._has_failed and len(events) == 1
        self._has_failed = True
        if is_suspect:
            await self._require_answer()
        try:
            replies = await self._append(events)
        except (RedisTimeoutError, TimeoutError) as error:
            raise SinkUnavailable(f"Redis does not answer in time: {error}") from error
        except (RedisError, OSError) as error:
            if not is_suspect:
                raise SinkUnavailable(f"Redis cannot be reached: {error}") from error
            # It answered just before and answers just after: this event is what it cannot take.
            await self._require_answer()
            return [f"Redis ends the connection on this event: {error}"]
        outcomes = _judge(events, replies)
        self._has_failed = False
        return outcomes

    async def _append(self, events: Sequence[OutboxEvent]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for event in events:
                pipeline.xadd(self._stream, _fields(event))
            return await pipeline.execute(raise_on_error=False)

    async def _require_answer(self) -> None:
        try:
            await self._client.ping()
        except (RedisError, OSError) as error:
            raise SinkUnavailable(f"Redis cannot be reached: {error}") from error

    async def trim(self) -> int:
        """Delete entries older than the retention, at most once a minute over all publishers; return how many."""
        try:
            if not await self._client.set(_TRIM_LOCK, b"1", ex=_TRIM_INTERVAL_SECONDS, nx=True):
                return 0
            return await self._delete_older(self._retention)
        except (RedisError, OSError) as error:
            raise SinkUnavailable(f"Redis does not answer: {error}") from error

    async def _delete_older(self, retention: timedelta) -> int:
        # The server's clock made the ids, so it also says what is old. XTRIM MINID is not in Redis 5.
        seconds, microseconds = await self._client.time()
        newest_to_go = int((seconds + microseconds / 1e6 - retention.total_seconds()) * 1000)
        if newest_to_go < 0:
            return 0
        deleted = 0
        while entries := await self._client.xrange(self._stream, "-", str(newest_to_go), count=_TRIM_STEP):
            ids = [entry_id for entry_id, _ in entries if entry_id is not None]
            deleted += await self._client.xdel(self._stream, *ids)
        return deleted

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _fields(event: OutboxEvent) -> dict[Any, Any]:
    return {**headers_of(event), "key": event.key, "payload": payload_of(event)}


def _judge(events: Sequence[OutboxEvent], replies: Sequence[object]) -> list[str | None]:
    fault = next((reply for reply in replies if isinstance(reply, Exception) and not _is_refusal(reply)), None)
    if fault is not None:
        kept = frozenset(
            event.id for event, reply in zip(events, replies, strict=True) if not isinstance(reply, Exception)
        )
        raise SinkUnavailable(f"Redis takes no events: {fault}", kept)
    return [f"Redis refused the event: {reply}" if isinstance(reply, Exception) else None for reply in replies]


def _is_refusal(error: Exception) -> bool:
    # Every other code (OOM, READONLY, MISCONF, WRONGTYPE, ...) is about the server or the stream as a whole.
    is_general = type(error) is ResponseError and error.status_code == "ERR"
    return is_general and not str(error).startswith(_SERVER_FAULTS)
