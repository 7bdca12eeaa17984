"""What every event sink must do: each implementation is a case of the fixture `sink`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec
import pytest

from kaireon_application.platform.event_schemas import INTERACTION_RECORDED
from kaireon_application.platform.outbox import EventSink, OutboxEvent, SinkUnavailable
from kaireon_outbox_publisher.redis_stream import RedisStreamSink, connect

if TYPE_CHECKING:
    from tests.outbox_publisher.conftest import MemorySink, PrivateRedis, ReadStream


class Subject(msgspec.Struct, kw_only=True):
    """A sink, what it holds, and how to cut it off and bring it back."""

    sink: EventSink
    held: Callable[[], list[str]]
    cut_off: Callable[[], None]
    bring_back: Callable[[], None]


@pytest.fixture(params=["redis", "memory"])
async def subject(
    request: pytest.FixtureRequest, private_redis: PrivateRedis, read_stream: ReadStream, memory_sink: MemorySink
) -> AsyncIterator[Subject]:
    """Every implementation."""
    if request.param == "memory":
        yield Subject(
            sink=memory_sink,
            held=lambda: [str(event.id) for event in memory_sink.taken],
            cut_off=lambda: setattr(memory_sink, "is_reachable", False),
            bring_back=lambda: setattr(memory_sink, "is_reachable", True),
        )
        return
    private_redis.start()
    sink = RedisStreamSink(connect(private_redis.url), "kaireon:events")
    reader = read_stream(private_redis.url)
    yield Subject(sink=sink, held=reader.ids, cut_off=private_redis.kill, bring_back=private_redis.start)
    await sink.close()


def event(number: int, *, id: UUID | None = None, payload: bytes = b"{}") -> OutboxEvent:
    """Return an event of a key of its own."""
    return OutboxEvent(
        id=id or uuid4(),
        tenant_id=uuid4(),
        type=INTERACTION_RECORDED,
        key=f"customer-{number}",
        payload=payload,
        size_bytes=len(payload),
        attempts=0,
        created_at=datetime.now(UTC),
    )


async def test_what_is_accepted_is_held_in_the_order_given(subject: Subject) -> None:
    events = [event(number) for number in range(20)]
    assert list(await subject.sink.publish(events)) == [None] * 20
    assert subject.held() == [str(given.id) for given in events]


async def test_the_same_event_may_be_published_again(subject: Subject) -> None:
    twice = event(1)
    await subject.sink.publish([twice])
    assert list(await subject.sink.publish([twice])) == [None]
    assert set(subject.held()) == {str(twice.id)}


async def test_nothing_is_an_answer_to_nothing(subject: Subject) -> None:
    assert list(await subject.sink.publish([])) == []


async def test_a_sink_that_cannot_be_reached_says_so_for_every_event_and_recovers(subject: Subject) -> None:
    first, second = event(1), event(2)
    await subject.sink.publish([first])
    subject.cut_off()
    # However often, and however few: an event is never blamed for it.
    for events in ([second], [second], [second, event(3)], [second]):
        with pytest.raises(SinkUnavailable):
            await subject.sink.publish(events)
    subject.bring_back()
    while True:
        try:
            assert list(await subject.sink.publish([second])) == [None]
            break
        except SinkUnavailable:
            continue  # a connection from before may fail once more
    assert subject.held() == [str(first.id), str(second.id)]
