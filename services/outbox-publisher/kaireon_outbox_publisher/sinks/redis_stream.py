"""The Redis stream as an event sink, with commands that Redis 5 has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from kaireon_application.platform.outbox import OutboxEvent, SinkUnavailable
from kaireon_outbox_publisher.sinks.envelope import headers_of, payload_of
from kaireon_runtime.redis_address import Topology, parse_redis_url

# Replies with the general code that say something about the server all the same: every event would meet them.
_SERVER_FAULTS = ("unknown command", "The stream has exhausted")
# A Cluster's failures are no `RedisError`.
_FAULTS = (RedisError, RedisClusterException, OSError)
_TIMEOUT_SECONDS = 5.0
_TRIM_LOCK = "kaireon:outbox:trimmed"
_TRIM_INTERVAL_SECONDS = 60
_TRIM_STEP = 500


def connect(url: str) -> Redis:
    """Return a client that never repeats a command by itself: it could not know what the first one did.

    Of a Cluster it is one that is connected; the others connect with their first command. Raises `RedisError`.
    """
    address = parse_redis_url(url)
    options: dict[str, Any] = {
        **address.options,
        "socket_timeout": _TIMEOUT_SECONDS,
        "socket_connect_timeout": _TIMEOUT_SECONDS,
        "health_check_interval": 15,
        "protocol": 2,  # Redis 5 does not know HELLO, with which later protocols begin.
        "retry": Retry(NoBackoff(), 0),
    }
    if address.topology is Topology.STANDALONE:
        return Redis.from_url(url, **options)
    if address.topology is Topology.SENTINEL:
        own = {name: value for name, value in options.items() if name not in {"username", "password", "db", "retry"}}
        return Sentinel(list(address.hosts), sentinel_kwargs=own, **options).master_for(address.master)
    try:
        # It has the commands of the one server, on this one key.
        return cast("Redis", RedisCluster(startup_nodes=[ClusterNode(*host) for host in address.hosts], **options))
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error


class RedisStreamSink:
    """`EventSink` that appends to one stream; a reply from Redis is the acknowledgement.

    Entry fields: `id`, `type`, `tenantId`, `key`, `timestamp` (when the event was committed), `payload` (JSON).
    """

    def __init__(self, connect: Callable[[], Redis], stream: str, retention: timedelta) -> None:
        self._connect = connect
        self._client: Redis | None = None
        self._opening = threading.Lock()
        self._stream = stream
        self._retention = retention
        self._has_failed = False

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        """Append every event in one pipeline, and look at every reply."""
        # redis-py packs commands in C here, and in Python on an event loop.
        return await asyncio.to_thread(self._publish, events)

    def _publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        is_suspect = self._has_failed and len(events) == 1
        self._has_failed = True
        if is_suspect:
            self._require_answer()
        try:
            replies = self._append(events)
        except (RedisTimeoutError, TimeoutError) as error:
            raise SinkUnavailable(f"Redis does not answer in time: {error}") from error
        except _FAULTS as error:
            if not is_suspect:
                raise SinkUnavailable(f"Redis cannot be reached: {error}") from error
            # It answered just before and answers just after: this event is what it cannot take.
            self._require_answer()
            return [f"Redis ends the connection on this event: {error}"]
        outcomes = _judge(events, replies)
        self._has_failed = False
        return outcomes

    def _opened(self) -> Redis:
        # Events and trimming come in threads of their own; a second client would close the first one's connections.
        with self._opening:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _append(self, events: Sequence[OutboxEvent]) -> list[Any]:
        with self._opened().pipeline(transaction=False) as pipeline:
            for event in events:
                pipeline.xadd(self._stream, _fields(event))
            return pipeline.execute(raise_on_error=False)

    def _require_answer(self) -> None:
        try:
            self._opened().ping()
        except _FAULTS as error:
            raise SinkUnavailable(f"Redis cannot be reached: {error}") from error

    async def trim(self) -> int:
        """Delete entries older than the retention, at most once a minute over all publishers; return how many."""
        return await asyncio.to_thread(self._trim)

    def _trim(self) -> int:
        try:
            if not self._opened().set(_TRIM_LOCK, b"1", ex=_TRIM_INTERVAL_SECONDS, nx=True):
                return 0
            return self._delete_older(self._retention)
        except _FAULTS as error:
            raise SinkUnavailable(f"Redis does not answer: {error}") from error

    def _delete_older(self, retention: timedelta) -> int:
        # The server's clock made the ids, so it also says what is old. XTRIM MINID is not in Redis 5.
        seconds, microseconds = self._opened().time()
        newest_to_go = int((seconds + microseconds / 1e6 - retention.total_seconds()) * 1000)
        if newest_to_go < 0:
            return 0
        deleted = 0
        while entries := self._opened().xrange(self._stream, "-", str(newest_to_go), count=_TRIM_STEP):
            ids = [entry_id for entry_id, _ in entries if entry_id is not None]
            deleted += self._opened().xdel(self._stream, *ids)
        return deleted

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await asyncio.to_thread(self._client.close)


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
