"""What analyses read from Postgres: samples that a seed decides, within a minute."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
from psycopg.errors import InvalidSchemaName, UndefinedColumn, UndefinedTable

from kaireon_application.customers.schema_table import SchemaTable
from kaireon_application.errors import Conflict
from kaireon_application.learning.content_analysis import CreativeSample, StoredCreative
from kaireon_application.learning.policy_analysis import ContactQuery, ContactSample
from kaireon_application.learning.segment_analysis import RowSample
from kaireon_core.learning.contact_history import Happening
from kaireon_storage.postgres import table_statements as statements
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.queries import queries
from kaireon_storage.postgres.schema_tables import readable

_SQL_NOUN = "analyses"


class PostgresAnalysisRows:
    """Samples of schemas, contacts and creatives."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries(_SQL_NOUN)

    async def count(self, tenant_id: UUID, table: SchemaTable) -> int:
        """Return how many rows a table has."""
        async with self._reading(tenant_id) as connection:
            return await self._total(connection, tenant_id, table)

    async def sample(
        self, tenant_id: UUID, table: SchemaTable, columns: Sequence[str], seed: int, limit: int
    ) -> RowSample:
        """Return at most so many rows, the same ones in the same order for the same seed."""
        parameters = {"tenant_id": tenant_id, "seed": seed, "limit": limit}
        async with self._reading(tenant_id) as connection:
            total = await self._total(connection, tenant_id, table)
            cursor = await connection.execute(statements.sample_rows(tenant_id, table, columns), parameters)
            rows = [readable(row) for row in await cursor.fetchall()]
        return RowSample(rows=rows, total=total)

    async def count_contacts(self, tenant_id: UUID, query: ContactQuery) -> int:
        """Return how many interactions there are."""
        async with self._reading(tenant_id) as connection:
            return (await self._sql.count_contacts(connection, **_parameters(tenant_id, query)))["total"]

    async def sample_contacts(self, tenant_id: UUID, query: ContactQuery, seed: int, limit: int) -> ContactSample:
        """Return those of as many whole customers as there is room for, the same ones for the same seed."""
        parameters = _parameters(tenant_id, query)
        happenings = list[Happening]()
        async with self._reading(tenant_id) as connection:
            total = (await self._sql.count_contacts(connection, **parameters))["total"]
            async for row in self._sql.sample_contacts(connection, **parameters, seed=seed, limit=limit):
                happenings.append(_happening(row))
        return ContactSample(happenings=happenings, total=total)

    async def count_creatives(self, tenant_id: UUID, channel_id: str | None) -> int:
        """Return how many creatives were shown, on one channel or any."""
        async with self._reading(tenant_id) as connection:
            counted = await self._sql.count_shown_creatives(connection, tenant_id=tenant_id, channel_id=channel_id)
            return counted["total"]

    async def sample_creatives(self, tenant_id: UUID, channel_id: str | None, seed: int, limit: int) -> CreativeSample:
        """Return at most so many of them, the same ones in the same order for the same seed."""
        chosen = {"tenant_id": tenant_id, "channel_id": channel_id}
        async with self._reading(tenant_id) as connection:
            total = (await self._sql.count_shown_creatives(connection, **chosen))["total"]
            creatives = [
                msgspec.convert(row, StoredCreative)
                async for row in self._sql.sample_creatives(connection, **chosen, seed=seed, limit=limit)
            ]
        return CreativeSample(creatives=creatives, total=total)

    async def _total(self, connection: Connection, tenant_id: UUID, table: SchemaTable) -> int:
        cursor = await connection.execute(statements.count_total(tenant_id, table), {"tenant_id": tenant_id})
        row = await cursor.fetchone()
        return 0 if row is None else int(row["total"])

    @asynccontextmanager
    async def _reading(self, tenant_id: UUID) -> AsyncGenerator[Connection]:
        """Open a transaction that may scan for a minute. Raises `Conflict` where a table changed under the request."""
        try:
            async with self._database.transaction(tenant_id) as connection:
                await self._sql.allow_a_minute(connection)
                yield connection
        except (UndefinedTable, UndefinedColumn, InvalidSchemaName):
            raise Conflict("the schema has changed meanwhile; ask again") from None


def _parameters(tenant_id: UUID, query: ContactQuery) -> dict[str, Any]:
    return {"tenant_id": tenant_id, **msgspec.structs.asdict(query)}


def _happening(row: dict[str, Any]) -> Happening:
    offer_id, recommendation_id = row["offer_id"], row["recommendation_id"]
    return Happening(
        customer_id=row["customer_id"],
        at_ms=row["at_ms"],
        local_day=row["local_day"],
        is_contact=row["kind"] == "impression",
        outcome_key=row["outcome_key"],
        classification=row["classification"],
        offer_id=None if offer_id is None else str(offer_id),
        recommendation_id=None if recommendation_id is None else str(recommendation_id),
    )
