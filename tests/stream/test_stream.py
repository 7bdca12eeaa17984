"""The stream tier: events of every broker take effect once, whatever becomes of its processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kaireon_testkit.native.ports import free_port

if TYPE_CHECKING:
    from kaireon_testkit.platform.tenant import Tenant
    from tests.stream.conftest import Kept, StartTier
    from tests.stream.sources import Inbound

_STOP_SECONDS = 30


def event(tenant: Tenant, n: int, **given: Any) -> tuple[str, bytes]:
    """Return an event as a record, under its customer's key."""
    customer = f"c{n % 5}"
    body = {
        "tenantId": str(tenant.tenant_id),
        "eventType": "page.viewed",
        "customerId": customer,
        "properties": {"n": n},
        **given,
    }
    return customer, json.dumps(body).encode()


async def test_events_of_a_stream_take_effect_as_those_of_the_api(
    inbound: Inbound, kept: Kept, tenant: Tenant, start_tier: StartTier
) -> None:
    inbound.send([event(tenant, n) for n in range(20)])
    start_tier(inbound.environment)
    await kept.until_count(20)

    by_key = [event(tenant, n, tenantId=tenant.key) for n in range(20, 30)]
    repeated = [event(tenant, 30, eventId="e1"), event(tenant, 30, eventId="e1"), event(tenant, 31)]
    inbound.send([*by_key, *repeated])
    await kept.until_count(32)

    assert sorted(await kept.numbers()) == list(range(32))
    customers = await kept.rows("SELECT customer_id FROM customers WHERE tenant_id = %(tenant_id)s ORDER BY 1")
    assert [row["customer_id"] for row in customers] == ["c0", "c1", "c2", "c3", "c4"]


MALFORMED: list[bytes] = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"eventType": "x"}',
    b'{"tenantId": "nobody", "eventType": "x"}',
]
INVALID: list[dict[str, Any]] = [
    {"eventType": "a b"},
    {"eventType": "outcome.recorded"},
    {"timestamp": "2001-01-01T00:00:00Z"},
    {"mood": 1},
    {"properties": {"text": "a\x00b"}},
]


async def test_what_is_no_event_is_dead_lettered_and_blocks_nothing(
    inbound: Inbound, kept: Kept, tenant: Tenant, start_tier: StartTier
) -> None:
    bad = [("c0", content) for content in MALFORMED if content or "redis" not in inbound.environment["STREAM_SOURCE"]]
    bad += [event(tenant, -1, **given) for given in INVALID]
    records = [event(tenant, n) for n in range(30)]
    for place, one in enumerate(bad):
        records.insert(place * 3, one)
    inbound.send(records)

    start_tier(inbound.environment)
    await kept.until_count(30)

    async def all_dead() -> bool:
        rows = await kept.rows("SELECT status, type, payload, error FROM jobs WHERE tenant_id = %(tenant_id)s")
        return len(rows) == len(bad)

    await kept.until(all_dead)
    rows = await kept.rows("SELECT status, type, payload, error FROM jobs WHERE tenant_id = %(tenant_id)s")
    assert {(row["status"], row["type"], row["error"]["code"]) for row in rows} == {
        ("dead", "stream_event", "malformed_event")
    }
    assert all(set(row["payload"]) == {"source", "partition", "position", "content"} for row in rows)
    assert sorted(await kept.numbers()) == list(range(30))


async def test_processes_that_are_killed_lose_and_double_nothing(
    inbound: Inbound, kept: Kept, tenant: Tenant, start_tier: StartTier
) -> None:
    tiers = [start_tier(inbound.environment) for _ in range(2)]
    for round_ in range(3):
        inbound.send([event(tenant, n) for n in range(round_ * 200, round_ * 200 + 200)])
        await kept.until_count(round_ * 200 + 10)
        for tier in tiers:
            tier.send_signal(signal.SIGKILL)
            tier.wait()
        # Without waiting for their leases to lapse, which is what the others wait for.
        await kept.rows("UPDATE stream_checkpoints SET leased_until = now() RETURNING partition")
        tiers = [start_tier(inbound.environment) for _ in range(2)]

    await kept.until_count(600)

    assert sorted(await kept.numbers()) == list(range(600))


async def test_a_stopped_process_lets_go_at_once(
    redis_inbound: Inbound, kept: Kept, tenant: Tenant, start_tier: StartTier
) -> None:
    first = start_tier(redis_inbound.environment)
    redis_inbound.send([event(tenant, 0)])
    await kept.until_count(1)

    first.send_signal(signal.SIGTERM)

    assert await asyncio.to_thread(first.wait, _STOP_SECONDS) == 0
    held = await kept.rows("SELECT lease_token FROM stream_checkpoints")
    assert [row["lease_token"] for row in held] == [None]
    redis_inbound.send([event(tenant, 1)])
    start_tier(redis_inbound.environment)
    await kept.until_count(2)


async def test_the_tier_tells_its_health_and_its_lag(
    kafka_inbound: Inbound, kept: Kept, tenant: Tenant, start_tier: StartTier
) -> None:
    kafka_inbound.send([event(tenant, 0), ("c0", b"?")])
    port = free_port()
    start_tier(kafka_inbound.environment, STREAM_HEALTH_PORT=str(port))
    await kept.until_count(1)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/health")).status_code == 200

        async def is_told() -> bool:
            metrics = (await client.get("/metrics")).text
            ready = (await client.get("/ready")).status_code == 200
            told = ('kaireon_stream_events_total{result="taken"} 1.0', "kaireon_stream_lag_seconds{")
            return ready and all(text in metrics for text in told)

        await kept.until(is_told)


OFF: list[tuple[dict[str, str], int, str]] = [
    ({"FLOW_STREAMING_ENABLED": "false", "STREAM_SOURCE": "redis"}, 0, "FLOW_STREAMING_ENABLED=true"),
    ({"FLOW_STREAMING_ENABLED": ""}, 0, "FLOW_STREAMING_ENABLED=true"),
    ({}, 2, "STREAM_SOURCE is not set"),
    ({"STREAM_SOURCE": "carrier-pigeon"}, 2, "supported are redis, kafka"),
    ({"STREAM_SOURCE": "kafka"}, 2, "KAFKA_BROKERS"),
    ({"STREAM_SOURCE": "pulsar", "PULSAR_URL": "http://x"}, 2, "must start with pulsar://"),
]


@pytest.mark.parametrize(("environment", "code", "told"), OFF)
async def test_without_a_broker_it_ends_with_one_clear_line(
    database_url: str, redis_url: str, environment: dict[str, str], code: int, told: str
) -> None:
    own = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "FLOW_STREAMING_ENABLED": "true"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kaireon_stream",
        env={**os.environ, **own, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert (process.returncode, len(said.splitlines())) == (code, 1), said
    assert told in said
