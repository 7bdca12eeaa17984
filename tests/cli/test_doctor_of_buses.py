"""`kaireon doctor` and the event bus that the outbox publisher has: there, missing, away."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from tests.cli.test_doctor import given, told
from tests.outbox_publisher.conftest import aws_credentials, gate, moto, open_bus, private_redis, start_kafka

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.outbox_publisher.conftest import OpenBus

__all__ = ["aws_credentials", "gate", "given", "moto", "open_bus", "private_redis", "start_kafka"]

# bus, the variable that names what must be there, what is said where it is not
MISSING = [
    ("kafka", "KAFKA_TOPIC", "kafka: there is no topic {}"),
    ("kinesis", "KINESIS_STREAM", "Stream {} under account 123456789012 not found"),
    ("eventbridge", "EVENTBRIDGE_BUS", "Event bus {} does not exist"),
]


@pytest.mark.parametrize(("name", "variable", "said"), MISSING)
def test_what_events_go_to_is_missed(
    name: str, variable: str, said: str, open_bus: OpenBus, given: Mapping[str, str]
) -> None:
    missing = f"missing-{uuid4().hex}"
    code, found = told({**given, **open_bus(name).environment, variable: missing})
    assert (code, found["event-bus"]["state"]) == (1, "fail")
    assert said.format(missing) in found["event-bus"]["text"]


@pytest.mark.parametrize("name", ["kafka", "kinesis", "eventbridge", "pulsar"])
def test_bus_is_found_and_then_away(name: str, open_bus: OpenBus, given: Mapping[str, str]) -> None:
    bus = open_bus(name)
    if name == "kafka":
        producer = Producer({"bootstrap.servers": bus.environment["KAFKA_BROKERS"]})
        producer.produce(bus.environment["KAFKA_TOPIC"], b"{}")
        assert producer.flush(30) == 0
    variables = {**given, **bus.environment}
    found = told(variables)[1]["event-bus"]
    assert (found["state"], found["text"].partition(": ")[0]) == ("ok", name)
    bus.cut_off()
    try:
        found = told(variables)[1]["event-bus"]
    finally:
        bus.bring_back()
    assert (found["state"], "events wait in the outbox meanwhile" in found["next"]) == ("fail", True)
