"""The pool: which connection a caller gets."""

from __future__ import annotations

import asyncio
from uuid import UUID

import psycopg
import pytest

from kaireon_application.errors import Unavailable
from kaireon_storage.postgres.database import Database


async def _server_process(database: Database, *, hold: float = 0.0) -> int:
    async with database.system_transaction() as connection:
        cursor = await connection.execute("SELECT pg_backend_pid() AS pid")
        row = await cursor.fetchone()
        await asyncio.sleep(hold)
    assert row is not None
    return int(row["pid"])


async def test_a_lone_caller_keeps_its_connection_however_many_there_are(database: Database) -> None:
    crowd = await asyncio.gather(*(_server_process(database, hold=0.2) for _ in range(4)))
    assert len(set(crowd)) > 1

    assert len({await _server_process(database) for _ in range(8)}) == 1


async def test_a_transaction_that_was_rolled_back_leaves_the_connection_as_it_was(database: Database) -> None:
    statement = (b"SELECT $1::integer + 1", ["1"])
    tenant_id = UUID(int=1)

    for _ in range(3):
        (result,) = await database.round_trip(tenant_id, [statement])
        assert result.get_value(0, 0) == b"2"
        # psycopg deallocates everything after a roll-back when it has prepared something itself.
        await database.together(tenant_id, [("SELECT 1", {})])
        with pytest.raises(ZeroDivisionError):
            async with database.transaction(tenant_id):
                raise ZeroDivisionError
        await database.round_trip(tenant_id, [(b"SELECT $1::integer + 2", ["1"])])


async def test_what_failed_inside_a_transaction_can_be_done_in_another(database: Database) -> None:
    tenant_id = UUID(int=1)
    for _ in range(3):
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with database.transaction(tenant_id) as connection:
                await database.within(connection, [(b"SELECT 1 / $1::integer", ["0"])])
        async with database.transaction(tenant_id) as connection:
            (result,) = await database.within(connection, [(b"SELECT 1 / $1::integer", ["1"])])
        assert result.get_value(0, 0) == b"1"


@pytest.mark.parametrize("code", ["53100", "58030", "XX000", "25006"])
async def test_a_server_that_cannot_do_its_work_is_unavailable(database: Database, code: str) -> None:
    """As with a full disk, a quota that is used up, or a primary that has become a replica."""
    fault = f"DO $$ BEGIN RAISE EXCEPTION 'at fault' USING ERRCODE = '{code}'; END $$".encode()
    with pytest.raises(Unavailable, match=code):
        async with database.system_transaction() as connection:
            await connection.execute(fault)
    assert await _server_process(database)
