"""What the tables of other stores do beyond the contract: retention, size, faults, and how they are made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cassandra_sigv4.auth import SigV4AuthProvider
from msgspec.structs import replace

from kaireon_application.customers.history import HistoryQuery
from kaireon_application.customers.interaction_store import StoreMissing
from kaireon_application.errors import Unavailable
from kaireon_runtime.store_settings import CqlStore, DynamoDbStore, StoreBackend
from kaireon_storage.interactions.cql_session import auth_provider
from kaireon_storage.interactions.ddl import cql_script, dynamodb_commands
from kaireon_storage.interactions.dynamodb import DynamoDbTable
from kaireon_storage.interactions.partitioned import PartitionedStore
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.storage.interactions.conftest import BACKENDS, opened, table_of
from tests.storage.interactions.records import TENANT, full, record

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.backends
EVERYTHING = HistoryQuery(limit=100)


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest) -> DynamoDbStore | CqlStore:
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
async def store(place: DynamoDbStore | CqlStore) -> AsyncIterator[PartitionedStore]:
    async with opened(table_of(place)) as partitioned:
        yield partitioned


async def test_what_has_had_its_time_is_neither_written_nor_read(store: PartitionedStore) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    old = record(1, occurred_at=now - timedelta(days=31), retention_days=30)
    young = record(2, occurred_at=now - timedelta(days=29), retention_days=30)
    ending = record(3, occurred_at=now - timedelta(days=30) + timedelta(seconds=4), retention_days=30)
    forever = record(4, occurred_at=now - timedelta(days=4000))

    await store.write([old, young, ending, forever])

    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await store.page(TENANT, "c1", EVERYTHING)) == 3:
            await asyncio.sleep(0.2)
    found = await store.page(TENANT, "c1", EVERYTHING)
    assert [one.id for one in found] == [young.id, forever.id]


async def test_long_details_come_back_and_too_long_ones_are_left_to_postgres(store: PartitionedStore) -> None:
    long = replace(full(), details={"context": {"text": "é" * 500_000}})
    too_long = record(
        1, details={"context": {"text": "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(900_000))}}
    )

    await store.write([long, too_long])

    assert list(await store.page(TENANT, "c1", EVERYTHING)) == [long, replace(too_long, details=None)]


async def test_a_table_that_is_there_is_enough(place: DynamoDbStore | CqlStore) -> None:
    async with opened(table_of(place)) as partitioned:
        await partitioned.table.require()


async def test_a_table_that_is_missing_is_told_with_the_commands(place: DynamoDbStore | CqlStore) -> None:
    missing: DynamoDbStore | CqlStore
    if isinstance(place, DynamoDbStore):
        missing = replace(place, table="nobody_made_it")
        commands = dynamodb_commands(missing)
    else:
        missing = replace(place, keyspace="nobody_made_it")
        commands = cql_script(missing)

    async with opened(table_of(missing)) as partitioned:
        with pytest.raises(StoreMissing) as told:
            await partitioned.table.require()
        assert commands in told.value.message
        with pytest.raises(Unavailable):
            await partitioned.write([full()])


async def test_a_server_that_is_away_is_unavailable_and_found_when_it_is_back(
    place: DynamoDbStore | CqlStore,
) -> None:
    away = (
        replace(place, endpoint_url=f"http://127.0.0.1:{free_port()}")
        if isinstance(place, DynamoDbStore)
        else replace(place, port=free_port())
    )
    async with opened(table_of(away, timeout_seconds=1)) as partitioned:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await partitioned.write([full()])
            with pytest.raises(Unavailable):
                await partitioned.page(TENANT, "c1", EVERYTHING)


class Throttled(DynamoDbTable):
    """A real table that leaves every second write unprocessed, or all of them, for so many calls."""

    patience = 2
    takes_nothing = False

    def _blocking(self, operation: str, arguments: dict[str, Any]) -> Any:
        if operation != "batch_write_item" or self.patience == 0:
            return super()._blocking(operation, arguments)
        self.patience -= 1
        ((table, requests),) = arguments["RequestItems"].items()
        if self.takes_nothing:
            return {"UnprocessedItems": {table: requests}}
        taken, left = requests[::2], requests[1::2]
        super()._blocking(operation, {"RequestItems": {table: taken}})
        return {"UnprocessedItems": {table: left} if left else {}}


async def test_unprocessed_items_are_sent_again_within_bounds(dynamodb_store: DynamoDbStore) -> None:
    records: Sequence[Any] = [record(number) for number in range(20)]
    table = Throttled(dynamodb_store, 10)
    async with opened(table) as partitioned:
        await partitioned.write(records)
        assert list(await partitioned.page(TENANT, "c1", EVERYTHING)) == records

        table.patience, table.takes_nothing = 1000, True
        with pytest.raises(Unavailable, match="throttles"):
            await partitioned.write([record(number, "c2") for number in range(128)])
        table.patience = 0
        await partitioned.write([record(number, "c2") for number in range(128)])
        assert await partitioned.delete_customer(TENANT, "c2") == 128


def test_keyspaces_has_its_own_statements() -> None:
    store = CqlStore(
        backend=StoreBackend.KEYSPACES, contact_points=("x",), port=9142, keyspace="shop", signing_region="eu-west-1"
    )
    script = cql_script(store)

    assert "SingleRegionStrategy" in script
    assert "'ttl': {'status': 'enabled'}" in script


async def test_keyspaces_is_signed_for_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    store = CqlStore(
        backend=StoreBackend.KEYSPACES, contact_points=("x",), port=9142, keyspace="shop", signing_region="eu-west-1"
    )

    provider = auth_provider(store)

    assert isinstance(provider, SigV4AuthProvider)
    answer = provider.new_authenticator("x").evaluate_challenge(b"nonce=" + b"n" * 32)
    assert "access_key=test" in str(answer)
