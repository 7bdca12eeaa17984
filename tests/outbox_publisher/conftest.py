"""Real publishers as processes, a real outbox, a real stream."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from redis import Redis
from redis.exceptions import RedisError

from kaireon_application.platform.event_schemas import INTERACTION_RECORDED
from kaireon_application.platform.outbox import OutboxEvent, SinkUnavailable
from kaireon_testkit.native.aws import Gate, MotoServer
from kaireon_testkit.native.kafka import KAFKAS, Kafka
from kaireon_testkit.native.pulsar import PulsarLite
from tests.outbox_publisher.buses import Bus, EventBridgeBus, KafkaBus, KinesisBus, OpenBus, PulsarBus, RedisBus
from tests.outbox_publisher.private_redis import PrivateRedis

STREAM = "kaireon:events"
DEADLINE_SECONDS = 30.0
_LANES = 64

StartPublisher = Callable[..., "subprocess.Popen[bytes]"]
ReadStream = Callable[[str], "StreamReader"]
Eventually = Callable[[Callable[[], Any]], Awaitable[Any]]


def interaction(key: str, tenant_id: UUID, **changes: object) -> dict[str, object]:
    """Return a valid payload of `interaction.recorded.v1`."""
    return {
        "tenantId": str(tenant_id),
        "customerId": key,
        "offerId": str(uuid4()),
        "creativeId": str(uuid4()),
        "channelId": str(uuid4()),
        "interactionType": "outcome",
        "outcomeTypeKey": "click",
        "campaignId": None,
        "recommendationId": None,
        "timestamp": datetime.now(UTC).isoformat(),
        "interactionId": str(uuid4()),
        "rank": None,
        "classification": "positive",
        "direction": "inbound",
        "conversionValue": None,
        "sequence": 1,
        **changes,
    }


class OutboxTable:
    """The outbox as somebody with SQL sees it."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    async def _all(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        async with connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def insert(
        self,
        key: str,
        *,
        tenant_id: UUID,
        payload: object = None,
        type: str = INTERACTION_RECORDED,
        filler: str | None = None,
    ) -> UUID:
        """Insert one event, valid unless said otherwise, with a field more where a filler is given."""
        event_id = uuid4()
        content = interaction(key, tenant_id) if payload is None else payload
        if filler is not None:
            content = interaction(key, tenant_id, filler=filler)
        await self._all(
            "INSERT INTO outbox_events (id, tenant_id, type, key, payload) VALUES (%s, %s, %s, %s, %s)",
            event_id,
            tenant_id,
            type,
            key,
            Jsonb(content),
        )
        return event_id

    async def insert_many(self, keys: Sequence[str], *, tenant_id: UUID) -> None:
        """Insert valid events, in this order."""
        connection = await psycopg.AsyncConnection.connect(self._url)
        async with connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO outbox_events (id, tenant_id, type, key, payload) VALUES (%s, %s, %s, %s, %s)",
                [(uuid4(), tenant_id, INTERACTION_RECORDED, key, Jsonb(interaction(key, tenant_id))) for key in keys],
            )

    async def insert_backlog(self, rows: int, *, customers: int, tenant_id: UUID) -> None:
        """Insert so many valid events with one statement, their customers in turn."""
        await self._all(
            "INSERT INTO outbox_events (id, tenant_id, type, key, payload)"
            " SELECT gen_random_uuid(), %s, %s, 'customer-' || number %% %s, %s FROM generate_series(1, %s) AS number",
            tenant_id,
            INTERACTION_RECORDED,
            customers,
            Jsonb(interaction("customer", tenant_id)),
            rows,
        )

    async def rows(self) -> list[dict[str, Any]]:
        """Return all events by position."""
        return await self._all("SELECT * FROM outbox_events ORDER BY position")

    async def statuses(self) -> list[str]:
        """Return the statuses by position."""
        return [row["status"] for row in await self.rows()]

    async def dead(self) -> dict[UUID, dict[str, Any]]:
        """Return the dead letters by id."""
        return {row["id"]: row for row in await self._all("SELECT * FROM outbox_dead_letters")}

    async def pending(self, tenant_id: UUID) -> int:
        """Return how many events of a tenant wait."""
        (row,) = await self._all(
            "SELECT count(*) FROM outbox_events WHERE tenant_id = %s AND status = 'pending'", tenant_id
        )
        return row["count"]

    async def is_claimed(self) -> bool:
        """Return whether somebody holds a lane."""
        free = await self._all("SELECT lane FROM outbox_lanes FOR UPDATE SKIP LOCKED")
        return len(free) < _LANES

    async def ids_by_customer(self) -> dict[tuple[str, str], list[str]]:
        """Return the ids of each tenant's customers by position."""
        ids: dict[tuple[str, str], list[str]] = {}
        for row in await self._all("SELECT tenant_id::text, key, id::text FROM outbox_events ORDER BY position"):
            ids.setdefault((row["tenant_id"], row["key"]), []).append(row["id"])
        return ids

    async def ids_by_key(self) -> dict[str, list[str]]:
        """Return the ids of each key by position."""
        ids: dict[str, list[str]] = {}
        for row in await self.rows():
            ids.setdefault(row["key"], []).append(str(row["id"]))
        return ids


class StreamReader:
    """The stream as a consumer sees it."""

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(url, decode_responses=True)

    def entries(self) -> list[dict[str, str]]:
        """Return the fields of every entry; none while the server is away."""
        try:
            entries: Any = self._client.xrange(STREAM)
        except RedisError:
            return []
        return [fields for _, fields in entries]

    def ids(self) -> list[str]:
        """Return the event id of every entry."""
        return [entry["id"] for entry in self.entries()]

    def first_ids_by_key(self) -> dict[str, list[str]]:
        """Return each key's event ids in order of their first entry."""
        ids: dict[str, dict[str, None]] = {}
        for entry in self.entries():
            ids.setdefault(entry["key"], {})[entry["id"]] = None
        return {key: list(of_key) for key, of_key in ids.items()}

    def first_ids_by_customer(self) -> dict[tuple[str, str], list[str]]:
        """Return each tenant's customers' event ids in order of their first entry."""
        ids: dict[tuple[str, str], dict[str, None]] = {}
        for entry in self.entries():
            ids.setdefault((entry["tenantId"], entry["key"]), {})[entry["id"]] = None
        return {customer: list(of_customer) for customer, of_customer in ids.items()}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class MemorySink:
    """An `EventSink` whose faults a test chooses: events it refuses, and whether it can be reached."""

    def __init__(self) -> None:
        self.taken: list[OutboxEvent] = []
        self.refuses: Callable[[OutboxEvent], bool] = lambda _: False
        self.is_reachable = True

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        """Keep what is not refused."""
        if not self.is_reachable:
            raise SinkUnavailable
        accepted = [not self.refuses(event) for event in events]
        self.taken += [event for event, is_kept in zip(events, accepted, strict=True) if is_kept]
        return [None if is_kept else "refused by the test" for is_kept in accepted]

    async def trim(self) -> int:
        """Keep everything."""
        return 0

    async def close(self) -> None:
        """Nothing to give back."""


@pytest.fixture
def outbox_table(database_url: str) -> OutboxTable:
    """The outbox."""
    return OutboxTable(database_url)


@pytest.fixture
def read_stream() -> Iterator[ReadStream]:
    """Read the stream of a server."""
    readers: list[StreamReader] = []

    def read(url: str) -> StreamReader:
        readers.append(StreamReader(url))
        return readers[-1]

    yield read
    for reader in readers:
        reader.close()


@pytest.fixture
def stream(redis_url: str, read_stream: ReadStream) -> StreamReader:
    """The stream."""
    return read_stream(redis_url)


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    """A server that is not running yet."""
    server = PrivateRedis(tmp_path)
    yield server
    server.kill()


_KAFKA_NAMES = pytest.StashKey[dict[str, str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which broker stood for Kafka."""
    for name, broker in (config.stash.get(_KAFKA_NAMES, None) or {}).items():
        terminalreporter.write_line(f"{name}: {broker}")


@pytest.fixture(scope="session")
def start_kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Kafka]]:
    """Start a broker, the mock cluster or the best that can be had, once for the session."""
    started: dict[str, Kafka] = {}
    names = request.config.stash.setdefault(_KAFKA_NAMES, {})

    def start(name: str) -> Kafka:
        if name not in started:
            started[name] = KAFKAS[name](tmp_path_factory.mktemp(name))
            names[name] = started[name].name
        return started[name]

    yield start
    for broker in started.values():
        broker.stop()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """An emulator of AWS."""
    server = MotoServer(tmp_path_factory.mktemp("moto"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that the emulator takes, for this process and those that it starts."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def gate(moto: MotoServer, aws_credentials: None) -> Iterator[Gate]:
    """The emulator's door, open."""
    door = Gate(moto.port)
    door.open()
    yield door
    door.shut()


@pytest.fixture
def open_bus(
    request: pytest.FixtureRequest,
    start_kafka: Callable[[str], Kafka],
    private_redis: PrivateRedis,
    tmp_path: Path,
) -> Iterator[OpenBus]:
    """Open an event bus by its name, on a real server or the nearest thing to it."""
    servers: list[PulsarLite] = []

    def pulsar() -> Bus:
        servers.append(PulsarLite(tmp_path))
        servers[-1].start()
        return PulsarBus(servers[-1])

    openers: dict[str, Callable[[], Bus]] = {
        "redis": lambda: RedisBus(private_redis),
        **{name: lambda name=name: KafkaBus(start_kafka(name)) for name in KAFKAS},
        "kinesis": lambda: KinesisBus(request.getfixturevalue("moto"), request.getfixturevalue("gate")),
        "eventbridge": lambda: EventBridgeBus(request.getfixturevalue("moto"), request.getfixturevalue("gate")),
        "pulsar": pulsar,
    }
    yield lambda name: openers[name]()
    for server in servers:
        server.kill()


@pytest.fixture
def memory_sink() -> MemorySink:
    """A sink that keeps everything, unless told otherwise."""
    return MemorySink()


@pytest.fixture
def tenant_id() -> UUID:
    """A tenant of the events; the outbox refers to none."""
    return uuid4()


@pytest.fixture
async def start_publisher(database_url: str, redis_url: str) -> AsyncIterator[StartPublisher]:
    """Start publishers with the environment given; they are killed after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "kaireon_outbox_publisher"],
            env={
                **os.environ,
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "OUTBOX_POLL_INTERVAL_MS": "100",
                **environment,
            },
            stderr=subprocess.PIPE if environment.get("TEST_READS_STDERR") else None,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def eventually() -> Eventually:
    """Wait until a function, asynchronous or not, returns something true; fail after a deadline."""

    async def wait(probe: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            value = probe()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.05)

    return wait
