"""The tier as a process: order, no loss, poison, a sink that goes and comes back, settings."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from redis import Redis

from kaireon_testkit.native.ports import free_port
from tests.outbox_publisher.buses import first_ids_by_key

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from kaireon_testkit.native.redis_servers import RedisServer
    from tests.outbox_publisher.buses import OpenBus
    from tests.outbox_publisher.conftest import (
        Eventually,
        OutboxTable,
        ReadStream,
        StartPublisher,
        StreamReader,
    )


async def _all_sent(outbox: OutboxTable) -> bool:
    return set(await outbox.statuses()) <= {"sent"}


def _kill_one(publishers: list[subprocess.Popen[bytes]], chance: random.Random, start: StartPublisher) -> None:
    """Kill one of them, and start another in its place."""
    victim = chance.randrange(len(publishers))
    publishers[victim].send_signal(signal.SIGKILL)
    publishers[victim].wait()
    publishers[victim] = start()


async def test_every_event_arrives_in_order_per_customer_while_publishers_are_killed(
    outbox_table: OutboxTable,
    stream: StreamReader,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
) -> None:
    chance = random.Random(7)
    start = partial(start_publisher, OUTBOX_BATCH_SIZE="40")
    publishers = [start() for _ in range(3)]
    for _ in range(12):
        keys = [f"customer-{chance.randrange(25)}" for _ in range(150)]
        await outbox_table.insert_many(keys, tenant_id=tenant_id)
        # Wait for a little progress, so that the kill meets a publisher at work.
        seen = len(stream.ids())
        await eventually(lambda seen=seen: len(stream.ids()) > seen)
        _kill_one(publishers, chance, start)
    await eventually(lambda: _all_sent(outbox_table))
    assert stream.first_ids_by_key() == await outbox_table.ids_by_key()


@pytest.mark.parametrize("name", ["kafka", pytest.param("kafka-real", marks=pytest.mark.backends), "pulsar"])
async def test_every_bus_keeps_the_order_while_publishers_are_killed(
    name: str,
    open_bus: OpenBus,
    outbox_table: OutboxTable,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
) -> None:
    bus = open_bus(name)
    chance = random.Random(7)
    start = partial(start_publisher, OUTBOX_BATCH_SIZE="40", **bus.environment)
    publishers = [start() for _ in range(3)]
    for _ in range(3):
        keys = [f"customer-{chance.randrange(25)}" for _ in range(300)]
        sent = (await outbox_table.statuses()).count("sent")
        await outbox_table.insert_many(keys, tenant_id=tenant_id)

        async def has_progressed(sent: int = sent) -> bool:
            return (await outbox_table.statuses()).count("sent") > sent

        await eventually(has_progressed)
        _kill_one(publishers, chance, start)
    await eventually(lambda: _all_sent(outbox_table))
    assert first_ids_by_key(bus.entries()) == await outbox_table.ids_by_key()


@pytest.mark.parametrize("name", ["redis", "kafka", "kinesis", "eventbridge", "pulsar"])
async def test_a_bus_is_chosen_and_found_by_the_environment(
    name: str,
    open_bus: OpenBus,
    outbox_table: OutboxTable,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
) -> None:
    bus = open_bus(name)
    await outbox_table.insert_many(["customer-1", "customer-2"] * 10, tenant_id=tenant_id)
    publisher = start_publisher(**bus.environment)
    await eventually(lambda: _all_sent(outbox_table))
    assert first_ids_by_key(bus.entries()) == await outbox_table.ids_by_key()
    publisher.terminate()
    assert await asyncio.to_thread(publisher.wait, 30) == 0


async def test_an_entry_carries_the_event_as_it_was_stored(
    outbox_table: OutboxTable,
    stream: StreamReader,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
) -> None:
    event_id = await outbox_table.insert("customer-1", tenant_id=tenant_id)
    start_publisher()
    await eventually(stream.ids)
    (entry,) = stream.entries()
    (row,) = await outbox_table.rows()
    assert set(entry) == {"id", "type", "tenantId", "key", "timestamp", "payload"}
    assert (entry["id"], entry["tenantId"], entry["key"]) == (str(event_id), str(tenant_id), "customer-1")
    assert httpx.Response(200, text=entry["payload"]).json() == row["payload"]
    await eventually(lambda: _all_sent(outbox_table))


POISON: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "unknown type": lambda given: {**given, "type": "customer.renamed.v1"},
    "against its schema": lambda given: {**given, "payload": {"customerId": "customer-1"}},
    "not an object": lambda given: {**given, "payload": [1, 2]},
    "too large": lambda given: {**given, "payload": {"filler": "x" * 5000}},
}


@pytest.mark.parametrize("case", POISON)
async def test_an_event_that_no_sink_can_take_is_set_aside_and_later_ones_go_on(
    outbox_table: OutboxTable,
    stream: StreamReader,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
    case: str,
) -> None:
    before = await outbox_table.insert("customer-1", tenant_id=tenant_id)
    poison = await outbox_table.insert("customer-1", **POISON[case]({"tenant_id": tenant_id}))
    after = await outbox_table.insert("customer-1", tenant_id=tenant_id)
    start_publisher(EVENT_MAX_BYTES="4096")
    await eventually(lambda: len(stream.ids()) == 2)
    assert stream.ids() == [str(before), str(after)]
    dead = await outbox_table.dead()
    assert list(dead) == [poison]
    assert dead[poison]["tenant_id"] == tenant_id
    assert dead[poison]["error"]


async def test_events_wait_for_a_sink_that_is_away_and_none_is_given_up(
    outbox_table: OutboxTable,
    private_redis: RedisServer,
    read_stream: ReadStream,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
) -> None:
    private_redis.start()
    publisher = start_publisher(REDIS_URL=private_redis.url, EVENT_MAX_TRIES="1", OUTBOX_POLL_INTERVAL_MS="20")
    reader = read_stream(private_redis.url)
    for round_number in range(3):
        await outbox_table.insert_many(["customer-1", "customer-2"] * 5, tenant_id=tenant_id)
        await eventually(lambda: _all_sent(outbox_table))
        private_redis.kill()
        await outbox_table.insert_many(["customer-1", "customer-2"] * 5, tenant_id=tenant_id)
        if round_number == 0:
            await asyncio.sleep(1)  # several ticks fail; none of them may raise a count
        private_redis.start()
    await eventually(lambda: _all_sent(outbox_table))
    assert await outbox_table.dead() == {}
    assert {row["attempts"] for row in await outbox_table.rows()} == {0}
    assert reader.first_ids_by_key() == await outbox_table.ids_by_key()
    assert publisher.poll() is None


async def test_a_publisher_survives_the_loss_of_its_database_connections(
    outbox_table: OutboxTable,
    database_url: str,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
) -> None:
    start_publisher(DATABASE_DIRECT_URL=database_url)
    await outbox_table.insert("customer-1", tenant_id=tenant_id)
    await eventually(lambda: _all_sent(outbox_table))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await outbox_table.insert("customer-1", tenant_id=tenant_id)
    await eventually(lambda: _all_sent(outbox_table))


@pytest.mark.parametrize("source", ["postgres", "redis"])
async def test_a_hint_wakes_the_publisher_long_before_its_poll(
    outbox_table: OutboxTable,
    database_url: str,
    redis_url: str,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
    source: str,
) -> None:
    direct = {"DATABASE_DIRECT_URL": database_url} if source == "postgres" else {}
    start_publisher(OUTBOX_POLL_INTERVAL_MS="600000", **direct)
    await outbox_table.insert("customer-1", tenant_id=tenant_id)
    await eventually(lambda: _all_sent(outbox_table))
    await outbox_table.insert("customer-1", tenant_id=tenant_id)

    async def hint() -> bool:
        if source == "postgres":
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute("NOTIFY kaireon_outbox")
        else:
            with Redis.from_url(redis_url) as client:
                client.publish("kaireon:outbox:wake", "")
        return await _all_sent(outbox_table)

    await eventually(hint)


async def test_bad_settings_end_it_with_one_line(start_publisher: StartPublisher) -> None:
    process = start_publisher(TEST_READS_STDERR="1", EVENT_PUBLISHER="kafka")
    _, errors = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 2
    assert errors.decode() == "KAFKA_BROKERS is not set: EVENT_PUBLISHER=kafka needs it\n"


async def test_sigterm_ends_it_cleanly(
    outbox_table: OutboxTable, tenant_id: UUID, start_publisher: StartPublisher, eventually: Eventually
) -> None:
    publisher = start_publisher()
    await outbox_table.insert("customer-1", tenant_id=tenant_id)
    await eventually(lambda: _all_sent(outbox_table))
    publisher.terminate()
    assert await asyncio.to_thread(publisher.wait, 30) == 0


# The buses whose clients wait for a broker that is away, and so hold a claim for seconds.
@pytest.mark.parametrize("name", ["kafka", "pulsar"])
async def test_sigterm_gives_back_what_a_bus_that_is_away_has_not_taken(
    name: str,
    open_bus: OpenBus,
    outbox_table: OutboxTable,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
) -> None:
    bus = open_bus(name)
    publisher = start_publisher(**bus.environment)
    await outbox_table.insert("customer-1", tenant_id=tenant_id)
    await eventually(lambda: _all_sent(outbox_table))
    bus.cut_off()
    await outbox_table.insert_many(["customer-1", "customer-2"], tenant_id=tenant_id)
    await eventually(outbox_table.is_claimed)
    publisher.terminate()
    assert await asyncio.to_thread(publisher.wait, 60) == 0
    assert [(row["status"], row["attempts"]) for row in await outbox_table.rows()] == [
        ("sent", 0),
        ("pending", 0),
        ("pending", 0),
    ]
    assert not await outbox_table.is_claimed()
    bus.bring_back()


async def test_it_ends_with_its_supervisor(start_publisher: StartPublisher, eventually: Eventually) -> None:
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    publisher = start_publisher(KAIREON_PARENT_PID=str(supervisor.pid))
    supervisor.kill()
    await supervisor.wait()
    await eventually(lambda: publisher.poll() is not None)


async def test_probes_tell_a_live_publisher_from_a_useful_one(
    private_redis: RedisServer, outbox_table: OutboxTable, start_publisher: StartPublisher, eventually: Eventually
) -> None:
    private_redis.start()
    port = free_port()
    start_publisher(REDIS_URL=private_redis.url, OUTBOX_HEALTH_PORT=str(port))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def status(path: str) -> int:
            try:
                return (await client.get(path)).status_code
            except httpx.TransportError:
                return 0

        async def is_ready(expected: int) -> bool:
            return await status("/ready") == expected

        await eventually(lambda: is_ready(200))
        private_redis.kill()
        await outbox_table.insert("customer-1", tenant_id=uuid4())
        await eventually(lambda: is_ready(503))
        assert await status("/health") == 200
        assert "kaireon_outbox_sink_up 0.0" in (await client.get("/metrics")).text
        assert await status("/elsewhere") == 404
