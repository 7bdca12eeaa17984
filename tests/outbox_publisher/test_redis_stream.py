"""The Redis stream: whose fault an error is, and what is trimmed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from redis import Redis

from kaireon_application.platform.event_schemas import INTERACTION_RECORDED
from kaireon_application.platform.outbox import OutboxEvent, SinkUnavailable
from kaireon_outbox_publisher.sinks.redis_stream import RedisStreamSink, connect

if TYPE_CHECKING:
    from kaireon_testkit.native.redis_servers import RedisServer
    from tests.outbox_publisher.conftest import ReadStream

STREAM = "kaireon:events"
DAY = timedelta(hours=24)


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """A client of the test's logical database."""
    with connect(redis_url) as opened:
        yield opened


def event(size_bytes: int = 2) -> OutboxEvent:
    """Return an event with a payload of this size."""
    return OutboxEvent(
        id=uuid4(),
        tenant_id=uuid4(),
        type=INTERACTION_RECORDED,
        key=f"customer-{uuid4()}",
        payload=b"x" * size_bytes,
        size_bytes=size_bytes,
        attempts=0,
        created_at=datetime.now(UTC),
    )


async def test_a_stream_of_another_type_is_the_server_s_fault(client: Redis) -> None:
    client.set(STREAM, "not a stream")
    sink = RedisStreamSink(lambda: client, STREAM, DAY)
    for _ in range(3):
        with pytest.raises(SinkUnavailable):
            await sink.publish([event()])


async def test_what_was_kept_before_memory_ran_out_is_told(private_redis: RedisServer, read_stream: ReadStream) -> None:
    private_redis.start()
    client = connect(private_redis.url)
    sink = RedisStreamSink(lambda: client, STREAM, DAY)
    used = (client.info("memory"))["used_memory"]
    client.config_set("maxmemory", used + 3_000_000)
    events = [event(1_000_000) for _ in range(8)]
    with pytest.raises(SinkUnavailable) as caught:
        await sink.publish(events)
    held = read_stream(private_redis.url).ids()
    assert held
    assert {str(event_id) for event_id in caught.value.kept} == set(held)
    client.config_set("maxmemory", 0)
    assert list(await sink.publish([event()])) == [None]
    await sink.close()


@pytest.mark.parametrize("has_reply", [True, False])
async def test_an_event_that_ends_the_connection_is_refused_alone_once_it_is_suspect(
    private_redis: RedisServer, *, has_reply: bool
) -> None:
    private_redis.start("--proto-max-bulk-len", "1mb")
    async with _intolerant(private_redis.url, has_reply=has_reply) as url:
        sink = RedisStreamSink(partial(connect, url), STREAM, DAY)
        poison = event(2_000_000)
        with pytest.raises(SinkUnavailable):
            await sink.publish([event(), poison, event()])
        (reason,) = await sink.publish([poison])
        assert reason is not None
        assert "x" * 100 not in reason
        healthy = event()
        with contextlib.suppress(SinkUnavailable):  # the connection was lost with the poison
            await sink.publish([healthy])
        assert list(await sink.publish([healthy])) == [None]
        await sink.close()


@contextlib.asynccontextmanager
async def _intolerant(url: str, *, has_reply: bool) -> AsyncGenerator[str]:
    """Stand before the server; without replies, hang up on whoever sends more than a megabyte at once."""
    if has_reply:
        yield url
        return
    target = urlsplit(url)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(target.hostname, target.port)
        with contextlib.suppress(OSError):
            while request := await reader.read(4_000_000):
                if len(request) > 100_000:
                    break
                upstream_writer.write(request)
                writer.write(await upstream_reader.read(100_000))
        writer.close()
        upstream_writer.close()

    async with await asyncio.start_server(carry, "127.0.0.1", 0, limit=4_000_000) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"redis://127.0.0.1:{port}/0"


async def test_only_entries_older_than_the_retention_are_trimmed(client: Redis) -> None:
    seconds, _ = client.time()
    old_ms = [(seconds - 3600 * 25) * 1000 + number for number in range(1200)]
    recent_ms = [(seconds - 3600 * 23) * 1000 + number for number in range(3)]
    pipeline = client.pipeline()
    for at_ms in old_ms + recent_ms:
        pipeline.xadd(STREAM, {"id": "x"}, id=f"{at_ms}-1")
    pipeline.execute()
    sink = RedisStreamSink(lambda: client, STREAM, DAY)
    await sink.publish([event()])
    assert await sink.trim() == len(old_ms)
    assert client.xlen(STREAM) == len(recent_ms) + 1
    client.xadd(STREAM, {"id": "y"})
    assert await sink.trim() == 0, "once a minute is enough"


async def test_trimming_needs_a_server_that_answers(private_redis: RedisServer) -> None:
    sink = RedisStreamSink(lambda: connect(private_redis.url), STREAM, DAY)
    with pytest.raises(SinkUnavailable):
        await sink.trim()
    await sink.close()


async def test_events_and_trimming_share_one_client(redis_url: str) -> None:
    opened: list[Redis] = []

    def open_slowly() -> Redis:
        opened.append(connect(redis_url))
        time.sleep(0.05)  # long enough for the other thread to find none, if it may look
        return opened[-1]

    sink = RedisStreamSink(open_slowly, STREAM, DAY)
    outcomes, _ = await asyncio.gather(sink.publish([event()]), sink.trim())
    assert list(outcomes) == [None]
    assert len(opened) == 1
    await sink.close()
