"""Read replicas: who answers while a replica is near, behind, or gone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_application.errors import Unavailable
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.replicas import PrimaryMarks, ReadDatabase
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.replica import Replica, running_replica
from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from pathlib import Path
    from uuid import UUID

    from kaireon_testkit.native.stack import Stack
    from kaireon_testkit.platform.tenant import Tenant

MOST_LAG = 0.6


@pytest.fixture(scope="module")
def replica(clone: Path, stack: Stack) -> Iterator[Replica]:
    with running_replica(clone, stack.postgres_url) as running:
        yield running


async def is_replica(connection: Connection) -> bool:
    row: Any = await (await connection.execute("SELECT pg_is_in_recovery() AS is_replica")).fetchone()
    return row["is_replica"]


async def tenants(connection: Connection) -> int:
    row: Any = await (await connection.execute("SELECT count(*) AS n FROM tenants WHERE name <> 'x'")).fetchone()
    return row["n"]


@asynccontextmanager
async def reading(database: Database, urls: Sequence[str], metrics: Metrics) -> AsyncGenerator[ReadDatabase]:
    reads = ReadDatabase(database, [Database(url, max_connections=2) for url in urls], MOST_LAG, metrics)
    async with reads.running():
        yield reads


async def until_read_from(reads: ReadDatabase, tenant_id: UUID, *, replica: bool) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await reads.read(tenant_id, is_replica) is not replica:
            await asyncio.sleep(0.02)


async def test_a_replica_answers_until_it_is_behind_and_again_once_it_has_caught_up(
    database: Database, database_url: str, tenant: Tenant, replica: Replica
) -> None:
    metrics = Metrics()
    async with reading(database, [replica.url_of(database_url)], metrics) as reads:
        await until_read_from(reads, tenant.tenant_id, replica=True)
        assert await reads.read(tenant.tenant_id, tenants) == 1

        replica.pause()
        try:
            async with database.system_transaction() as connection:
                await connection.execute("UPDATE tenants SET name = 'x'")
            await until_read_from(reads, tenant.tenant_id, replica=False)
            assert await reads.read(tenant.tenant_id, tenants) == 0
        finally:
            replica.resume()
        await until_read_from(reads, tenant.tenant_id, replica=True)

    text = metrics.render().decode()
    assert 'kaireon_replica_reads_total{server="replica"}' in text
    assert 'kaireon_replica_fallbacks_total{reason="lag"}' in text


async def test_the_primary_answers_for_a_replica_that_is_gone_even_in_the_middle_of_a_read(
    database: Database, database_url: str, tenant: Tenant, replica: Replica
) -> None:
    metrics = Metrics()
    asked = list[bool]()

    async def ask(connection: Connection) -> bool:
        asked.append(await is_replica(connection))
        if asked[-1]:
            raise Unavailable
        return True

    gone = f"postgresql://kaireon:x@127.0.0.1:{free_port()}/kaireon"
    async with reading(database, [gone], metrics) as reads:
        assert not await reads.read(tenant.tenant_id, is_replica)
    async with reading(database, [gone, replica.url_of(database_url)], metrics) as reads:
        await until_read_from(reads, tenant.tenant_id, replica=True)
        assert await reads.read(tenant.tenant_id, ask)
    assert asked == [True, False]
    assert 'kaireon_replica_fallbacks_total{reason="unreachable"}' in metrics.render().decode()


async def test_a_server_that_follows_nobody_is_not_read(database: Database, database_url: str, tenant: Tenant) -> None:
    reads = ReadDatabase(database, [Database(database_url, application_name="no-replica")], MOST_LAG, Metrics())
    async with reads.running():
        await reads.look()
        assert await asyncio.gather(*(reads.read(tenant.tenant_id, application) for _ in range(3))) == ["tests"] * 3


async def test_a_replica_that_cannot_say_how_far_it_is_is_not_read(
    database: Database, database_url: str, tenant: Tenant, replica: Replica
) -> None:
    reads = ReadDatabase(database, [Database(replica.url_of(database_url))], MOST_LAG, Metrics())
    async with database.system_transaction() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute("REVOKE EXECUTE ON FUNCTION pg_last_wal_replay_lsn FROM PUBLIC")
    async with reads.running():
        await until_refused(replica.url_of(database_url))
        await reads.look()
        assert not await reads.read(tenant.tenant_id, is_replica)


async def until_refused(url: str) -> None:
    """Wait until the replica has replayed that nobody may ask it."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        await connection.execute("SET ROLE kaireon_system")
        while True:
            try:
                await connection.execute("SELECT pg_last_wal_replay_lsn()")
            except psycopg.errors.InsufficientPrivilege:
                return
            await asyncio.sleep(0.02)


async def application(connection: Connection) -> str:
    row: Any = await (await connection.execute("SELECT current_setting('application_name') AS name")).fetchone()
    return row["name"]


async def test_nothing_can_be_written_on_a_replica(
    database: Database, database_url: str, tenant: Tenant, replica: Replica
) -> None:
    async def write(connection: Connection) -> None:
        await connection.execute("UPDATE tenants SET name = 'x'")

    other = Database(replica.url_of(database_url))
    await other.open()
    try:
        with pytest.raises(Unavailable, match="25006"):
            async with other.transaction(tenant.tenant_id) as connection:
                await write(connection)
    finally:
        await other.close()


@given(
    steps=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=30),
    behind=st.integers(0, 29),
)
def test_lag_is_the_age_of_the_last_mark_that_was_replayed(steps: list[tuple[int, int]], behind: int) -> None:
    marks, position, at = PrimaryMarks(), 0, 0.0
    history = list[tuple[int, float]]()
    for written, waited in steps:
        position, at = position + written, at + waited
        marks.add(position, at)
        history.append((position, at))
    replayed = history[min(behind, len(history) - 1)][0]
    newest = max(then for stood, then in history if stood <= replayed)
    assert marks.lag_seconds(replayed, at + 1) == at + 1 - newest
    assert marks.lag_seconds(-1, at) == float("inf")
