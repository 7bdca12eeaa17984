"""Kafka: whose fault an error is, what a producer may not do, and the token for MSK."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from msgspec.structs import replace

from kaireon_application.platform.outbox import SinkUnavailable
from kaireon_outbox_publisher.sinks.kafka import KafkaSink, msk_token
from kaireon_testkit.native.kafka_mock import MockKafka
from tests.outbox_publisher.buses import KAFKA_TIMES, KafkaBus, consumer_of
from tests.outbox_publisher.test_sink_contract import event, publish_when_reachable

# Kafka's own test vectors (UtilsTest.testMurmur2).
MURMUR2 = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}


@pytest.fixture
def broker() -> Iterator[MockKafka]:
    """A broker that errs when it is told to."""
    started = MockKafka()
    yield started
    started.stop()


@pytest.mark.parametrize(("refusals", "blamed"), [(1, []), (2, [0])])
async def test_a_batch_that_the_broker_refuses_is_tried_event_by_event(
    broker: MockKafka, refusals: int, blamed: list[int]
) -> None:
    bus = KafkaBus(broker)
    sink = bus.sink()
    await sink.publish([event("customer-0")])
    broker.refuse(refusals)
    # Of one customer, so of one partition and one request.
    events = [event("customer-1") for _ in range(5)]
    outcomes = list(await sink.publish(events))
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == blamed
    kept = [str(given.id) for given, outcome in zip(events, outcomes, strict=True) if outcome is None]
    assert [entry.id for entry in bus.entries() if entry.key == "customer-1"] == kept
    await sink.close()


async def test_an_event_carries_its_trace_and_one_without_carries_none(broker: MockKafka) -> None:
    bus = KafkaBus(broker)
    sink = bus.sink()
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await sink.publish([replace(event("customer-1"), traceparent=traceparent), event("customer-2")])
    assert {entry.key: entry.traceparent for entry in bus.entries()} == {
        "customer-1": traceparent,
        "customer-2": None,
    }
    await sink.close()


async def test_what_is_given_up_does_not_arrive_later(broker: MockKafka) -> None:
    bus = KafkaBus(broker)
    sink = bus.sink()
    await sink.publish([event("customer-1")])
    broker.cut_off()
    given_up = event("customer-1")
    with pytest.raises(SinkUnavailable):
        await sink.publish([given_up])
    broker.bring_back()
    later = event("customer-1")
    await publish_when_reachable(sink, [later])
    ids = [entry.id for entry in bus.entries()]
    assert str(given_up.id) not in ids
    assert ids[-1] == str(later.id)
    await sink.close()


async def test_a_key_chooses_the_partition_that_java_clients_choose(broker: MockKafka) -> None:
    sink = KafkaSink({"bootstrap.servers": broker.bootstrap, **KAFKA_TIMES}, "partitions")
    await sink.publish([event(key) for key in MURMUR2])
    await sink.close()
    assert _partitions(broker.bootstrap, "partitions") == {
        key: (hash_ & 0x7FFFFFFF) % 4 for key, hash_ in MURMUR2.items()
    }


def test_msk_is_given_a_url_signed_for_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    token, expires_at = msk_token("eu-central-1")("")
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    assert url.startswith("https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect")
    assert "X-Amz-Signature=" in url
    assert expires_at > 1_700_000_000


def _partitions(bootstrap: str, topic: str) -> dict[str, int]:
    """Return the partition of every key."""
    with consumer_of(bootstrap) as consumer:
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
        found: dict[str, int] = {}
        while len(found) < len(MURMUR2):
            message = consumer.poll(10)
            assert message is not None
            if message.error() is None:
                found[(message.key() or b"").decode()] = message.partition() or 0
        return found
