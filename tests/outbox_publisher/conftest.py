"""Real publishers as processes, a real outbox, a real stream."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis
from redis.exceptions import RedisError

from kaireon_application.platform.outbox import OutboxEvent, SinkUnavailable
from kaireon_testkit import patience
from kaireon_testkit.native.aws import Gate, MotoServer
from kaireon_testkit.native.kafka import KAFKAS, Kafka
from kaireon_testkit.native.pulsar import PulsarLite
from kaireon_testkit.native.redis_servers import RedisServer
from tests.outbox_publisher.buses import Bus, EventBridgeBus, KafkaBus, KinesisBus, OpenBus, PulsarBus, RedisBus
from tests.outbox_publisher.outbox_table import OutboxTable

STREAM = "kaireon:events"

StartPublisher = Callable[..., "subprocess.Popen[bytes]"]
ReadStream = Callable[[str], "StreamReader"]
Eventually = Callable[[Callable[[], Any]], Awaitable[Any]]


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
def private_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that is not running yet."""
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
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
    private_redis: RedisServer,
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
    return patience.eventually
