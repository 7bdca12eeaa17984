"""Streams, and processes of the tier that read them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import pytest

from kaireon_storage.postgres.database import Database
from kaireon_testkit.native.aws import MotoServer
from kaireon_testkit.native.kafka_mock import MockKafka
from kaireon_testkit.native.pulsar import PulsarLite
from kaireon_testkit.platform.tenant import Tenant
from tests.stream.sources import Inbound, KafkaInbound, KinesisInbound, PulsarInbound, RedisInbound

StartTier = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(params=["redis", "kafka", "kinesis", "pulsar"])
def inbound(request: pytest.FixtureRequest) -> Inbound:
    """An empty stream of each broker in turn."""
    return request.getfixturevalue(f"{request.param}_inbound")


@pytest.fixture
def redis_inbound(redis_url: str) -> Inbound:
    """A Redis stream."""
    return RedisInbound(redis_url)


@pytest.fixture
def kafka_inbound() -> Iterator[Inbound]:
    """A Kafka topic, on librdkafka's mock cluster."""
    broker = MockKafka()
    yield KafkaInbound(broker)
    broker.stop()


@pytest.fixture
def kinesis_inbound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbound]:
    """A Kinesis data stream, on an emulator."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = MotoServer(tmp_path)
    server.start()
    yield KinesisInbound(server)
    server.kill()


@pytest.fixture
def pulsar_inbound(tmp_path: Path) -> Iterator[Inbound]:
    """A Pulsar topic."""
    server = PulsarLite(tmp_path)
    server.start()
    yield PulsarInbound(server)
    server.kill()


@pytest.fixture
def start_tier(database_url: str, redis_url: str) -> Iterator[StartTier]:
    """Start processes of the tier; those that still run are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(environment: dict[str, str], **more: str) -> subprocess.Popen[bytes]:
        own = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "FLOW_STREAMING_ENABLED": "true"}
        process = subprocess.Popen(
            [sys.executable, "-m", "kaireon_stream"],
            env={**os.environ, **own, **environment, **more},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.wait()


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the tier has kept."""

    database: Database
    tenant: Tenant

    async def rows(self, sql: LiteralString) -> list[dict[str, Any]]:
        """Return the rows of a statement, seen by the system."""
        async with self.database.system_transaction() as connection:
            cursor = await connection.execute(sql, {"tenant_id": self.tenant.tenant_id})
            return await cursor.fetchall()

    async def numbers(self) -> list[int]:
        """Return the property `n` of every event of the tenant, in the order of arrival."""
        rows = await self.rows(
            "SELECT (details -> 'properties' ->> 'n')::integer AS n FROM interactions"
            " WHERE tenant_id = %(tenant_id)s AND kind = 'event' ORDER BY recorded_at, id"
        )
        return [row["n"] for row in rows]

    async def until(self, is_it: Callable[[], Awaitable[bool]], within: float = 90) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + within
        while not await is_it():
            assert time.monotonic() < deadline, await self.numbers()
            await asyncio.sleep(0.05)

    async def until_count(self, count: int) -> None:
        """Wait until so many events are kept."""

        async def holds() -> bool:
            return len(await self.numbers()) >= count

        await self.until(holds)


@pytest.fixture
def kept(database: Database, tenant: Tenant) -> Kept:
    """What the tier has kept of one tenant."""
    return Kept(database=database, tenant=tenant)
