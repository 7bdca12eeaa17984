"""The engagement health of customers in Postgres."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from kaireon_application.customers.engagement_health import StoredHealth
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries

_CHUNK = 2_000


class PostgresEngagementHealth:
    """Implements `EngagementStore`."""

    def __init__(self, database: Database, chunk: int = _CHUNK) -> None:
        """Take an open database, and how many customers are worked out by one statement."""
        self._database = database
        self._chunk = chunk
        self._sql: Any = queries("engagement_health")

    async def tenants(self) -> list[UUID]:
        """Return every tenant."""
        async with self._database.system_transaction() as connection:
            return [row["tenant_id"] async for row in queries("tenants").config_versions(connection)]

    async def recompute(self, tenant_id: UUID, now: datetime) -> int:
        """Work out the health of all customers of a tenant, a chunk and a transaction at a time."""
        count, after = 0, ""
        while True:
            async with self._database.transaction(tenant_id) as connection:
                rows = self._sql.recompute_chunk(
                    connection, tenant_id=tenant_id, after=after, now=now, chunk=self._chunk
                )
                found = [row["customer_id"] async for row in rows]
            count += len(found)
            if len(found) < self._chunk:
                return count
            after = found[-1]

    async def get(self, tenant_id: UUID, customer_id: str) -> StoredHealth | None:
        """Return a customer's health."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_health(connection, tenant_id=tenant_id, customer_id=customer_id)
        return None if row is None else StoredHealth(**row)
