"""Every interaction store that can be had, empty, for the contract suite."""

from __future__ import annotations

import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import boto3.session
import pytest
from cassandra.cluster import Cluster

from kaireon_application.customers.interaction_store import InteractionStore
from kaireon_runtime.store_settings import CqlStore, DynamoDbStore, StoreBackend
from kaireon_storage.interactions.cql import CqlTable
from kaireon_storage.interactions.ddl import cql_statements, dynamodb_commands
from kaireon_storage.interactions.dynamodb import DynamoDbTable
from kaireon_storage.interactions.partitioned import InteractionTable, PartitionedStore
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.interactions import PostgresInteractions
from kaireon_testkit.native.aws import MotoServer
from kaireon_testkit.native.cassandra import cassandra
from kaireon_testkit.native.dynamodb_local import dynamodb_local
from kaireon_testkit.native.jars import JarsUnavailable

BACKENDS = ("dynamodb", "cassandra")
_TIMEOUT_SECONDS = 10


@pytest.fixture(scope="session")
def dynamodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DynamoDB Local, started once."""
    try:
        with dynamodb_local(tmp_path_factory.mktemp("dynamodb")) as url:
            yield url
    except JarsUnavailable:
        pytest.skip("DynamoDB Local cannot be fetched from Maven Central")


@pytest.fixture(scope="session")
def cassandra_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A node of Cassandra, started once."""
    try:
        with cassandra(tmp_path_factory.mktemp("cassandra")) as port:
            yield port
    except JarsUnavailable:
        pytest.skip("Cassandra cannot be fetched from Maven Central")


@pytest.fixture(scope="session")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Moto's emulation of DynamoDB, started once."""
    server = MotoServer(tmp_path_factory.mktemp("moto"))
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.kill()


@pytest.fixture
def moto_store(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> DynamoDbStore:
    """A table of the emulator that the printed commands have made."""
    return made_table(moto_url, monkeypatch)


@pytest.fixture
def dynamodb_store(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> DynamoDbStore:
    """A table that the printed commands have made."""
    return made_table(dynamodb_url, monkeypatch)


def made_table(url: str, monkeypatch: pytest.MonkeyPatch) -> DynamoDbStore:
    """Make a table of a new name by the printed commands."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    store = DynamoDbStore(table=f"t{uuid4().hex}", region="eu-west-1", endpoint_url=url)
    for command in dynamodb_commands(store).splitlines():
        run_aws(command)
    return store


@pytest.fixture
def cassandra_store(cassandra_port: int) -> Iterator[CqlStore]:
    """A table that the printed statements have made."""
    keyspace = f"k{uuid4().hex}"
    store = CqlStore(
        backend=StoreBackend.CASSANDRA, contact_points=("127.0.0.1",), port=cassandra_port, keyspace=keyspace
    )
    with Cluster(["127.0.0.1"], port=cassandra_port) as cluster:
        session = cluster.connect()
        for statement in cql_statements(store, replicas=1):
            session.execute(statement, timeout=_TIMEOUT_SECONDS)
        yield store
        session.execute(f"DROP KEYSPACE {keyspace}", timeout=60)


@pytest.fixture(params=["pg", "moto", *(pytest.param(name, marks=pytest.mark.backends) for name in BACKENDS)])
async def store(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[InteractionStore]:
    """A store without records."""
    if request.param == "pg":
        yield PostgresInteractions(database)
        return
    settings: Any = request.getfixturevalue(f"{request.param}_store")
    async with opened(table_of(settings)) as partitioned:
        yield partitioned


def table_of(settings: DynamoDbStore | CqlStore, timeout_seconds: float = _TIMEOUT_SECONDS) -> InteractionTable:
    """Return the table of these settings."""
    if isinstance(settings, DynamoDbStore):
        return DynamoDbTable(settings, timeout_seconds)
    return CqlTable(settings, timeout_seconds)


@asynccontextmanager
async def opened(table: InteractionTable) -> AsyncGenerator[PartitionedStore]:
    """Close the table after the block."""
    try:
        yield PartitionedStore(table, "the store", read_seconds=30)
    finally:
        await table.close()


def run_aws(command: str) -> None:
    """Do what `aws dynamodb ...` would: its options are the parameters of the call."""
    _, _, operation, *options = shlex.split(command)
    values: dict[str, list[str]] = {}
    for option in options:
        if option.startswith("--"):
            name, _, value = option.removeprefix("--").partition("=")
            values[name] = [value] if value else []
        else:
            values[list(values)[-1]].append(option)
    url, region = values.pop("endpoint-url")[0], values.pop("region")[0]
    session: Any = boto3.session.Session()
    client = session.client("dynamodb", region_name=region, endpoint_url=url)
    parameters = {_camel(name): _parsed(given) for name, given in values.items()}
    getattr(client, operation.replace("-", "_"))(**parameters)
    client.close()


def _camel(name: str) -> str:
    return "".join(part.title() for part in name.split("-"))


def _parsed(given: list[str]) -> Any:
    """Return a value of the command line: text, or structures as `Name=value,Name=value`."""
    if "=" not in given[0]:
        return given[0]
    structures = [
        {name: value == "true" if value in {"true", "false"} else value for name, value in pairs}
        for pairs in ([pair.split("=") for pair in text.split(",")] for text in given)
    ]
    return structures if "Type=" in given[0] else structures[0]
