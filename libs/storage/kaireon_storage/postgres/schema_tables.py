"""Tenants' own tables in Postgres: their definition and their rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from psycopg import DataError, IntegrityError
from psycopg.errors import (
    DuplicateTable,
    InvalidSchemaName,
    ProgramLimitExceeded,
    QueryCanceled,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)
from psycopg.sql import Composed
from psycopg.types.json import Jsonb

from kaireon_application.customers.schema_data import Row, RowPage, TableStats
from kaireon_application.customers.schema_table import Column, SchemaTable, cast_for_lookup
from kaireon_application.customers.write_schema import SchemaWriter
from kaireon_application.engagement.behavioral_event import CUSTOMER_CREATED
from kaireon_application.engagement.fact import Fact, FactsPayload
from kaireon_application.errors import Conflict, InvalidInput
from kaireon_application.governance.actor import Actor
from kaireon_application.platform.identity import new_ids
from kaireon_storage.postgres import table_statements as statements
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.entities import PostgresEntityWriter, WriterTurns
from kaireon_storage.postgres.queries import queries
from kaireon_storage.postgres.triggers import queue_facts

_SQL_NOUN = "schema_tables"
# Customers that one job reacts to.
_FACTS_AT_ONCE = 200
# Once counting has taken so long, nothing more is counted for an answer.
_COUNTING_SECONDS = 2.0


class PostgresSchemaWriter(PostgresEntityWriter):
    """Writes one tenant's entities and tables inside one transaction."""

    def __init__(self, connection: Connection, tenant_id: UUID, actor: Actor) -> None:
        """Take a connection that is inside a transaction of the tenant, and who acts in it."""
        super().__init__(connection, tenant_id, actor)
        self._tables: Any = queries(_SQL_NOUN)

    async def create_table(self, table: SchemaTable) -> None:
        """Create a table. Raises `Conflict` when there is one of this name."""
        async with self._as_owner():
            await self.connection.execute(statements.create_namespace(self.tenant_id))
            try:
                await self.connection.execute(statements.create_table(self.tenant_id, table))
            except DuplicateTable:
                raise Conflict("a schema of this name exists") from None
            name = statements.relation(self.tenant_id, table).as_string(self.connection)
            await self._tables.protect_table(self.connection, table=name)

    async def add_columns(self, table: SchemaTable, columns: Sequence[Column]) -> None:
        """Add columns; stored rows get their defaults."""
        if not columns:
            return
        async with self._as_owner():
            try:
                await self.connection.execute(statements.add_columns(self.tenant_id, table, columns))
            except UniqueViolation:
                raise Conflict("a unique field cannot start with the same default in every stored row") from None

    async def drop_table(self, table: SchemaTable) -> None:
        """Drop a table with its rows."""
        async with self._as_owner():
            await self.connection.execute(statements.drop_table(self.tenant_id, table))

    @asynccontextmanager
    async def _as_owner(self) -> AsyncGenerator[None]:
        await self._tables.become_system(self.connection)
        yield
        await self._tables.become_tenant(self.connection)


class PostgresSchemas:
    """The port to schemas, over a pool of connections."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._turns = WriterTurns()

    @asynccontextmanager
    async def writing(self, tenant_id: UUID, actor: Actor) -> AsyncGenerator[SchemaWriter]:
        """Open a transaction in which this actor writes, and which raises the tenant's `config_version`."""
        async with self._turns.of(tenant_id), self._database.transaction(tenant_id) as connection:
            writer = PostgresSchemaWriter(connection, tenant_id, actor)
            await writer.begin()
            yield writer


class PostgresSchemaRows:
    """Reads and stores the rows of tenants' own tables."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries(_SQL_NOUN)

    async def lookup(
        self, tenant_id: UUID, table: SchemaTable, lookup_key: str, values: Collection[Hashable]
    ) -> dict[Hashable, Row]:
        """Return for each value the first row whose lookup column equals it."""
        try:
            async with self._database.transaction(tenant_id) as connection:
                return await lookup_rows(connection, tenant_id, table, lookup_key, values)
        except (UndefinedTable, InvalidSchemaName):
            return {}

    async def stream(
        self, tenant_id: UUID, table: SchemaTable, columns: Sequence[str], batch: int
    ) -> AsyncIterator[list[Row]]:
        """Yield all rows in the order of the primary key, `batch` at a time, from one snapshot."""
        async with self._database.transaction(tenant_id) as connection:
            await self._sql.allow_minutes(connection)
            async with connection.cursor(name="schema_rows") as cursor:
                await cursor.execute(statements.read_rows(tenant_id, table, columns), {"tenant_id": tenant_id})
                while rows := await cursor.fetchmany(batch):
                    yield [readable(row) for row in rows]

    async def page(self, tenant_id: UUID, table: SchemaTable, limit: int, offset: int) -> RowPage:
        """Return one page of rows, in the order of the primary key."""
        own = (table.row_number,) if table.row_number else ()
        shown = [*own, *(column.name for column in table.columns)]
        parameters = {"tenant_id": tenant_id, "limit": limit, "offset": offset}
        async with self._database.transaction(tenant_id) as connection:
            cursor = await connection.execute(statements.page_rows(tenant_id, table, shown), parameters)
            rows = [readable(row) for row in await cursor.fetchall()]
            counted = await _one(connection, statements.count_total(tenant_id, table), {"tenant_id": tenant_id})
        return RowPage(rows=rows, total=counted["total"])

    async def stats(self, tenant_id: UUID, table: SchemaTable) -> TableStats:
        """Return how large the table is."""
        async with self._database.transaction(tenant_id) as connection:
            counted = await _one(connection, statements.count_rows(tenant_id, table), {"tenant_id": tenant_id})
            name = statements.relation(tenant_id, table).as_string(connection)
            size = await self._sql.table_size(connection, table=name)
        total = counted["total"]
        nulls = {column.name: total - counted[f"filled_{i}"] for i, column in enumerate(table.columns)}
        return TableStats(row_count=total, size_bytes=size["size_bytes"], null_counts=nulls)

    async def count_members(
        self, tenant_id: UUID, wanted: Sequence[tuple[SchemaTable | None, Sequence[dict[str, Any]]]]
    ) -> list[int | None]:
        """Return how many rows satisfy the filters of each (table, filters), None where that takes too long."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + _COUNTING_SECONDS
        counts: list[int | None] = []
        for table, filters in wanted:
            is_late = clock() >= deadline
            counts.append(None if table is None or is_late else await self._count_members(tenant_id, table, filters))
        return counts

    async def _count_members(
        self, tenant_id: UUID, table: SchemaTable, filters: Sequence[dict[str, Any]]
    ) -> int | None:
        if any(one["operator"] == "regex" for one in filters):
            return None
        parameters = {
            "tenant_id": tenant_id,
            "operators": [one["operator"] for one in filters],
            "operands": Jsonb([one["value"] for one in filters]),
        }
        statement = statements.count_members(tenant_id, table, [one["field"] for one in filters])
        try:
            async with self._database.transaction(tenant_id) as connection:
                await self._sql.allow_a_moment(connection)
                return (await _one(connection, statement, parameters))["total"]
        except (QueryCanceled, UndefinedTable, UndefinedColumn, InvalidSchemaName):
            return None

    async def insert(self, tenant_id: UUID, table: SchemaTable, rows: Sequence[Row], *, is_told: bool = False) -> int:
        """Store checked rows and return how many were new; where it `is_told`, a job reacts to whose they are."""
        # In one order everywhere: two calls that bring the same keys wait for each other and cannot deadlock.
        ordered = sorted(rows, key=lambda row: [row[name] for name in table.declared_key])
        parameters = {"tenant_id": tenant_id, "rows": Jsonb(ordered)}
        async with self._database.transaction(tenant_id) as connection:
            try:
                cursor = await connection.execute(statements.insert_rows(tenant_id, table), parameters)
            except ProgramLimitExceeded:
                raise InvalidInput("a value of a key, unique or customer field is too long to be indexed") from None
            if is_told and table.customer_column is not None:
                created = {str(owner) for row in await cursor.fetchall() for owner in row.values()}
                await _tell_created(connection, tenant_id, table, [row for row in rows if _is_of(table, row, created)])
            return cursor.rowcount

    async def copy_rows(
        self,
        tenant_id: UUID,
        table: SchemaTable,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
    ) -> int:
        """Store many rows at once and return how many were new. Raises `InvalidInput` when a value does not fit."""
        try:
            async with self._database.transaction(tenant_id) as connection:
                await self._sql.allow_minutes(connection)
                await connection.execute(statements.create_staging(tenant_id, table, columns))
                async with connection.cursor() as cursor, cursor.copy(statements.copy_into_staging(columns)) as copy:
                    async for row in _each(rows):
                        await copy.write_row(row)
                moved = statements.move_from_staging(tenant_id, table, columns)
                return (await connection.execute(moved, {"tenant_id": tenant_id})).rowcount
        except (DataError, IntegrityError) as error:
            raise InvalidInput(f"a row does not fit into {table.name}: {error.diag.message_primary}") from None


async def lookup_rows(
    connection: Connection, tenant_id: UUID, table: SchemaTable, lookup_key: str, values: Collection[Hashable]
) -> dict[Hashable, Row]:
    """Return for each value the first row whose lookup column equals it, over a transaction of the tenant."""
    key = table.column(lookup_key)
    if key is None:
        return {}
    pairs = [(value, cast) for value in values if (cast := cast_for_lookup(key, value)) is not None]
    if not pairs:
        return {}
    parameters = {"tenant_id": tenant_id, "values": [str(cast) for _, cast in pairs]}
    cursor = await connection.execute(statements.lookup_rows(tenant_id, table, key), parameters)
    return {pairs[row.pop("lookup_place") - 1][0]: readable(row) for row in await cursor.fetchall()}


def _is_of(table: SchemaTable, row: Row, customer_ids: Collection[str]) -> bool:
    column = table.customer_column
    return column is not None and str(row[column.name]) in customer_ids


async def _tell_created(connection: Connection, tenant_id: UUID, table: SchemaTable, rows: Sequence[Row]) -> None:
    """Queue the jobs that react to customers who are new in a table."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    column = table.customer_column
    assert column is not None, table.name  # noqa: S101 - asked for tables of customers only
    facts = [
        Fact(id=id_, customer_id=str(row[column.name]), at_ms=now_ms, properties={"table": table.name, **row})
        for id_, row in zip(new_ids(now_ms, len(rows)), rows, strict=True)
    ]
    for first in range(0, len(facts), _FACTS_AT_ONCE):
        part = facts[first : first + _FACTS_AT_ONCE]
        await queue_facts(connection, tenant_id, FactsPayload(type=CUSTOMER_CREATED, facts=part))


async def _one(connection: Connection, statement: Composed, parameters: dict[str, Any]) -> dict[str, Any]:
    row = await (await connection.execute(statement, parameters)).fetchone()
    assert row is not None  # noqa: S101  an aggregate always has a row
    return row


async def _each(rows: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]]) -> AsyncIterator[Sequence[Any]]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


def readable(row: dict[str, Any]) -> Row:
    """Return a row whose dates and instants are ISO 8601 text; the row is not used afterwards."""
    for name, value in row.items():
        if isinstance(value, datetime):
            row[name] = value.isoformat().replace("+00:00", "Z")
        elif isinstance(value, date):
            row[name] = value.isoformat()
    return row
