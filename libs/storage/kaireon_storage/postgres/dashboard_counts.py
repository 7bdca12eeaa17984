"""The counts that dashboards show, kept in Postgres by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaireon_application.errors import Busy
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_application.decisioning.count_for_dashboards import Horizon
    from kaireon_storage.postgres.database import Connection, Database

_NOUN = "dashboard_counts"
# About a second's work.
_SLICE_ROWS = 200_000
# The standard error of what a sketch of so many hashes stands for is 2.2 per cent.
_HASHES = 2_048


class PostgresDashboardCounts:
    """Implements `DashboardCounts`."""

    def __init__(self, database: Database, slice_rows: int = _SLICE_ROWS, hashes: int = _HASHES) -> None:
        """Take an open database, about how many rows to count at once, and how many hashes a sketch holds."""
        self._database = database
        self._slice_rows = slice_rows
        self._hashes = hashes
        self._sql: Any = queries(_NOUN)

    async def horizon(self) -> Horizon:
        """Return an instant a minute ago, and who is writing now."""
        async with self._database.system_transaction() as connection:
            row = await self._sql.horizon(connection)
        return row["at"], row["transaction"]

    async def is_settled(self, horizon: Horizon) -> bool:
        """Return whether who was writing then has ended."""
        async with self._database.system_transaction() as connection:
            row = await self._sql.is_settled(connection, transaction=horizon[1])
        return row["is_settled"]

    async def count(self, tenant_id: UUID, horizon: Horizon) -> bool:
        """Count a slice of a tenant; nothing while others hold the counts."""
        own = {"tenant_id": tenant_id}
        try:
            async with self._database.transaction(tenant_id) as connection:
                await self._sql.allow_long_statement(connection)
                await self._sql.begin(connection, **own)
                held = await self._sql.hold_if_free(connection, **own)
                if held is None:
                    return False
                slice_ = await self._sql.next_slice(
                    connection, **own, counted_to=held["counted_to"], settled_at=horizon[0], most=self._slice_rows
                )
                await self._sql.count_slice(connection, **own, **held, **slice_, hash_count=self._hashes)
        except Busy:
            return False
        return slice_["to_at"] < horizon[0] or slice_["late_to"] < held["counted_to"]


async def hold_dashboard_counts(connection: Connection, tenant_id: UUID) -> None:
    """Keep others from counting a tenant's rows until the transaction ends: for who takes out what may be counted."""
    sql: Any = queries(_NOUN)
    await sql.begin(connection, tenant_id=tenant_id)
    await sql.hold(connection, tenant_id=tenant_id)
