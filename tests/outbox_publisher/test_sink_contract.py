"""What every event sink must do, alone and under a relay: each event bus is a case of the fixture `bus`."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec
import pytest

from kaireon_application.platform.event_schemas import INTERACTION_RECORDED
from kaireon_application.platform.outbox import ClaimLimits, EventSink, OutboxEvent, SinkUnavailable
from kaireon_application.platform.outbox_relay import RelayLimits, RelayOutbox
from kaireon_outbox_publisher.sinks.envelope import envelope_of
from kaireon_storage.postgres.outbox import PostgresOutbox
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.outbox_publisher.buses import first_ids_by_key

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from tests.outbox_publisher.buses import Bus, OpenBus
    from tests.outbox_publisher.outbox_table import OutboxTable

BUSES = ["redis", "kafka", pytest.param("kafka-real", marks=pytest.mark.backends), "kinesis", "eventbridge", "pulsar"]


@pytest.fixture(params=BUSES)
def bus(request: pytest.FixtureRequest, open_bus: OpenBus) -> Bus:
    """Every event bus."""
    return open_bus(request.param)


@pytest.fixture
async def sink(bus: Bus) -> AsyncIterator[EventSink]:
    """Its sink."""
    opened = bus.sink()
    yield opened
    await opened.close()


def event(key: str, *, id: UUID | None = None, payload: bytes = b"{}") -> OutboxEvent:
    """Return an event of a customer."""
    return OutboxEvent(
        id=id or uuid4(),
        tenant_id=uuid4(),
        type=INTERACTION_RECORDED,
        key=key,
        payload=payload,
        size_bytes=len(payload),
        attempts=0,
        created_at=datetime.now(UTC),
    )


async def publish_when_reachable(sink: EventSink, events: Sequence[OutboxEvent]) -> None:
    """Publish what is not kept yet until everything is: connections from before may fail once more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    kept: set[UUID] = set()
    while waiting := [given for given in events if given.id not in kept]:
        assert time.monotonic() < deadline, "the sink does not recover"
        try:
            assert set(await sink.publish(waiting)) == {None}
        except SinkUnavailable as error:
            kept |= error.kept
        else:
            return


async def test_an_event_arrives_as_it_was_given(bus: Bus, sink: EventSink) -> None:
    given = event("customer-1", payload='{"name": "Zoë", "list": [1, 2.5, null]}'.encode())
    await publish_when_reachable(sink, [given])
    (entry,) = bus.entries()
    assert (entry.id, entry.type, entry.key) == (str(given.id), given.type, "customer-1")
    assert entry.tenant_id == str(given.tenant_id)
    assert datetime.fromisoformat(entry.timestamp) == given.created_at
    assert entry.payload == {"name": "Zoë", "list": [1, 2.5, None]}


async def test_keys_of_any_form_are_taken(bus: Bus, sink: EventSink) -> None:
    keys = ["", " ", "a" * 1000, "Zoë/№ 1", "{a}"]
    await publish_when_reachable(sink, [event(key) for key in keys])
    assert sorted(entry.key for entry in bus.entries()) == sorted(keys)


async def test_a_customer_s_events_arrive_in_the_order_of_the_calls(bus: Bus, sink: EventSink) -> None:
    waves = [[event(f"customer-{number}") for number in range(30)] for _ in range(4)]
    for wave in waves:
        await publish_when_reachable(sink, wave)
    expected = {wave[0].key: [str(given.id) for given in wave] for wave in zip(*waves, strict=True)}
    assert first_ids_by_key(bus.entries()) == expected


async def test_the_same_event_may_be_published_again(bus: Bus, sink: EventSink) -> None:
    twice = event("customer-1")
    await publish_when_reachable(sink, [twice])
    assert list(await sink.publish([twice])) == [None]
    assert {entry.id for entry in bus.entries()} == {str(twice.id)}


async def test_nothing_is_an_answer_to_nothing(sink: EventSink) -> None:
    assert list(await sink.publish([])) == []


async def test_a_bus_that_cannot_be_reached_says_so_for_every_event_and_recovers(bus: Bus, sink: EventSink) -> None:
    first, second = event("customer-1"), event("customer-2")
    await publish_when_reachable(sink, [first])
    bus.cut_off()
    # However often, and however few: an event is never blamed for it.
    for events in ([second], [second, event("customer-3")], [second]):
        with pytest.raises(SinkUnavailable):
            await sink.publish(events)
    bus.bring_back()
    await publish_when_reachable(sink, [second])
    ids = [entry.id for entry in bus.entries()]
    assert {str(first.id), str(second.id)} <= set(ids)


async def test_an_event_that_the_bus_never_takes_is_set_aside_alone(
    bus: Bus, sink: EventSink, database: Database, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    # Random, so that no compression makes it small.
    filler = base64.b64encode(os.urandom(bus.too_large)).decode()
    for number in range(3):
        await outbox_table.insert(f"customer-{number}", tenant_id=tenant_id)
    too_large = await outbox_table.insert("customer-1", tenant_id=tenant_id, filler=filler)
    for number in range(3):
        await outbox_table.insert(f"customer-{number}", tenant_id=tenant_id)
    claim = ClaimLimits(event_bytes=2 * bus.too_large, total_bytes=4 * bus.too_large)
    relay = RelayOutbox(PostgresOutbox(database), sink, RelayLimits(claim=claim, max_tries=2), Ahead())
    await relay_everything(relay, outbox_table)
    assert list(await outbox_table.dead()) == [too_large]
    assert first_ids_by_key(bus.entries()) == await outbox_table.ids_by_key()


async def test_under_a_relay_nothing_is_lost_or_overtaken_while_the_bus_goes_and_comes(
    bus: Bus, sink: EventSink, database: Database, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    relay = RelayOutbox(PostgresOutbox(database), sink, RelayLimits(claim=ClaimLimits(events=40)), time.monotonic)
    for _ in range(2):
        await outbox_table.insert_many([f"customer-{number % 7}" for number in range(100)], tenant_id=tenant_id)
        await relay.relay()
        bus.cut_off()
        with pytest.raises(SinkUnavailable):
            await relay.relay()
        bus.bring_back()
        await relay_everything(relay, outbox_table)
    assert await outbox_table.dead() == {}
    assert first_ids_by_key(bus.entries()) == await outbox_table.ids_by_key()


async def relay_everything(relay: RelayOutbox, outbox_table: OutboxTable) -> None:
    """Relay until nothing waits."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "pending" in await outbox_table.statuses():
        assert time.monotonic() < deadline, "the relay does not finish"
        try:
            await relay.relay()
        except SinkUnavailable:
            continue


class Ahead:
    """A monotonic clock of which every retry is due at once."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 0.3
        return self._now


def test_an_envelope_is_json_whatever_the_payload() -> None:
    given = event("Zoë", payload=b'{"a": 1}')
    assert msgspec.json.decode(envelope_of(given))["payload"] == {"a": 1}
