"""The pool: which connection a caller gets."""

from __future__ import annotations

import asyncio

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
