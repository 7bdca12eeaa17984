"""Kinesis and EventBridge: answers that are about single records, and calls that are too large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kaireon_application.platform.outbox import SinkUnavailable
from tests.outbox_publisher.buses import AwsBus
from tests.outbox_publisher.test_sink_contract import event

if TYPE_CHECKING:
    from kaireon_application.platform.outbox import OutboxEvent
    from tests.outbox_publisher.buses import Bus, OpenBus


@pytest.fixture(params=["kinesis", "eventbridge"])
def bus(request: pytest.FixtureRequest, open_bus: OpenBus) -> Bus:
    """Both."""
    return open_bus(request.param)


class Throttling:
    """Throttles the entries of one event, so many times."""

    def __init__(self, given: OutboxEvent, times: int) -> None:
        self._id = str(given.id)
        self._data = given.key
        self.left = times

    def __call__(self, entry: str) -> bool:
        # Kinesis' data are in base64; its partition key is the customer.
        if not (self._id in entry or f'"PartitionKey": "{self._data}"' in entry) or self.left == 0:
            return False
        self.left -= 1
        return True


async def test_what_is_throttled_is_handed_over_again_and_alone(bus: Bus) -> None:
    assert isinstance(bus, AwsBus)
    events = [event(f"customer-{number}") for number in range(25)]
    bus.gate.throttled = Throttling(events[3], 2)
    assert list(await bus.sink().publish(events)) == [None] * 25
    assert sorted(entry.id for entry in bus.entries()) == sorted(str(given.id) for given in events)


async def test_what_stays_throttled_is_nobody_s_fault_and_the_others_are_told(bus: Bus) -> None:
    assert isinstance(bus, AwsBus)
    events = [event(f"customer-{number}") for number in range(25)]
    bus.gate.throttled = Throttling(events[3], -1)
    with pytest.raises(SinkUnavailable) as caught:
        await bus.sink().publish(events)
    assert caught.value.kept == {given.id for given in events if given is not events[3]}


async def test_an_event_too_large_is_refused_and_its_neighbours_are_kept(bus: Bus) -> None:
    events = [event("a"), event("b", payload=b'"' + b"x" * bus.too_large + b'"'), event("c")]
    outcomes = list(await bus.sink().publish(events))
    assert [outcome is None for outcome in outcomes] == [True, False, True]
    assert sorted(entry.key for entry in bus.entries()) == ["a", "c"]


async def test_calls_are_split_by_their_bytes(bus: Bus) -> None:
    payload = b'"' + b"x" * (bus.too_large - 2000) + b'"'
    events = [event(f"customer-{number}", payload=payload) for number in range(7)]
    assert list(await bus.sink().publish(events)) == [None] * 7
    assert len(bus.entries()) == 7


async def test_an_entry_that_is_malformed_is_refused_alone(open_bus: OpenBus) -> None:
    # No outbox holds such a payload; it stands for whatever the service itself finds wrong.
    sink = open_bus("eventbridge").sink()
    outcomes = list(await sink.publish([event("a"), event("b", payload=b"[1"), event("c")]))
    assert [outcome is None for outcome in outcomes] == [True, False, True]


async def test_a_stream_that_is_missing_is_nobody_s_fault(bus: Bus) -> None:
    assert isinstance(bus, AwsBus)
    missing = type(bus).__new__(type(bus))
    missing.gate, missing.name = bus.gate, "missing"
    for _ in range(3):
        with pytest.raises(SinkUnavailable):
            await missing.sink().publish([event("customer-1")])
