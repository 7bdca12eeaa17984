"""An event bus that is killed in the middle of a drain: nothing acknowledged is lost, nobody is overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from kaireon_testkit.native.jars import JarsUnavailable
from kaireon_testkit.native.kafka_kraft import KraftKafka
from tests.faults.patience import PATIENCE_SECONDS
from tests.outbox_publisher.buses import Bus, Entry, KafkaBus, OpenBus, first_ids_by_key
from tests.outbox_publisher.conftest import (
    OutboxTable,
    StartPublisher,
    aws_credentials,
    gate,
    moto,
    open_bus,
    outbox_table,
    private_redis,
    start_kafka,
    start_publisher,
    tenant_id,
)

__all__ = [
    "aws_credentials",
    "gate",
    "moto",
    "open_bus",
    "outbox_table",
    "private_redis",
    "start_kafka",
    "start_publisher",
    "tenant_id",
]
pytestmark = pytest.mark.faults


@pytest.fixture
def kraft(tmp_path: Path) -> Iterator[KraftKafka]:
    """A real broker of this test alone."""
    try:
        broker = KraftKafka(tmp_path)
    except JarsUnavailable:
        pytest.skip("Apache Kafka is assembled from Maven Central: no Java 17, no mvn, or no way there")
    yield broker
    broker.stop()


async def test_a_kafka_that_is_killed_while_publishers_drain(
    kraft: KraftKafka, outbox_table: OutboxTable, tenant_id: UUID, start_publisher: StartPublisher
) -> None:
    bus = KafkaBus(kraft)
    await _drain_through_deaths(bus, outbox_table, tenant_id, start_publisher, backlog=15_000, customers=300)


# What an emulator of AWS has taken ends with it, so its door is shut instead.
@pytest.mark.parametrize(
    ("name", "backlog"), [("kafka", 20_000), ("redis", 20_000), ("pulsar", 5_000), ("kinesis", 3_000)]
)
async def test_a_bus_that_goes_while_publishers_drain(
    name: str,
    backlog: int,
    open_bus: OpenBus,
    outbox_table: OutboxTable,
    tenant_id: UUID,
    start_publisher: StartPublisher,
) -> None:
    bus = open_bus(name)
    await _drain_through_deaths(bus, outbox_table, tenant_id, start_publisher, backlog=backlog, customers=100)


async def _drain_through_deaths(
    bus: Bus, table: OutboxTable, tenant_id: UUID, start_publisher: StartPublisher, *, backlog: int, customers: int
) -> None:
    """Take the bus away three times while two publishers drain a backlog, one of which is killed, too."""
    await table.insert_backlog(backlog, customers=customers, tenant_id=tenant_id)
    publishers = [start_publisher(**bus.environment) for _ in range(2)]
    for number in range(3):
        await _until_fewer(table, tenant_id, await table.pending(tenant_id))
        bus.cut_off()
        # What is written meanwhile is only relayed later.
        await table.insert_backlog(customers, customers=customers, tenant_id=tenant_id)
        if number == 1:
            publishers[0].kill()
            await asyncio.to_thread(publishers[0].wait)
            start_publisher(**bus.environment)
        bus.bring_back()
    await _until_fewer(table, tenant_id, 1)
    assert await table.dead() == {}, "a bus that is away is no fault of an event"
    found = await asyncio.to_thread(bus.entries)
    assert first_ids_by_key(found) == await table.ids_by_key()
    _require_same_repeats(found)


async def _until_fewer(table: OutboxTable, tenant_id: UUID, than: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await table.pending(tenant_id) >= max(than, 1):
            await asyncio.sleep(0.02)


def _require_same_repeats(found: list[Entry]) -> None:
    events = {entry.id: entry for entry in found}
    assert all(entry == events[entry.id] for entry in found), "a repeat is the same event under the same id"
