"""How far copies between interaction stores have come, in Postgres."""

from __future__ import annotations

from typing import Any

from kaireon_application.customers.copy_interactions import CopyProgress
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries


class PostgresCopyLog:
    """Implements `CopyLog`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("interaction_copies")

    async def read(self, source: str, target: str) -> CopyProgress:
        """Return how far it has come."""
        async with self._database.system_transaction() as connection:
            row = await self._sql.read_copy(connection, source=source, target=target)
        return CopyProgress() if row is None else CopyProgress(**row)

    async def note(self, source: str, target: str, progress: CopyProgress) -> None:
        """Remember how far it has come."""
        async with self._database.system_transaction() as connection:
            await self._sql.note_copy(
                connection,
                source=source,
                target=target,
                cursor=progress.cursor,
                copied=progress.copied,
                is_read=progress.is_read,
            )

    async def forget(self, source: str, target: str) -> None:
        """Let the next copy begin at the beginning."""
        async with self._database.system_transaction() as connection:
            await self._sql.forget_copy(connection, source=source, target=target)
