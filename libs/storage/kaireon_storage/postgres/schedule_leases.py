"""Leases of scheduled jobs in Postgres, by the database's clock alone."""

from __future__ import annotations

from typing import Any

from kaireon_application.platform.scheduled_job import ScheduleLease
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries


class PostgresScheduleLeases:
    """Implements `ScheduleLeases`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("schedule_leases")

    async def take(self, lease: ScheduleLease, seconds: float) -> bool:
        """Take the lease; False when another run holds it."""
        async with self._database.system_transaction() as connection:
            return await self._sql.take_lease(connection, name=lease.name, token=lease.token, seconds=seconds) == 1

    async def renew(self, lease: ScheduleLease, seconds: float) -> bool:
        """Hold the lease for longer; False when another run has taken it."""
        async with self._database.system_transaction() as connection:
            return await self._sql.renew_lease(connection, name=lease.name, token=lease.token, seconds=seconds) == 1

    async def end(self, lease: ScheduleLease) -> None:
        """Give the lease up."""
        async with self._database.system_transaction() as connection:
            await self._sql.end_lease(connection, name=lease.name, token=lease.token)
