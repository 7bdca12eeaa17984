"""What Postgres and Redis hold about customers: read for exports, erased on request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from kaireon_application.customers.customer_data import SectionDigest
from kaireon_application.customers.schema_table import Column, SchemaTable, cast_for_lookup, table_of
from kaireon_application.decisioning.decision_run import CHUNK_SIZE
from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction, AuditEntry
from kaireon_application.platform.job import JobRun
from kaireon_core.governance.audit_chain import canonical
from kaireon_storage.interactions.opening import ExternalStores
from kaireon_storage.postgres import customer_statements as statements
from kaireon_storage.postgres.customer_sections import (
    ALWAYS_COUNTED,
    CACHE,
    LOGGED,
    LOGGED_CLASS,
    SCHEMA_ROWS,
    SECTIONS,
    STORED,
    Section,
)
from kaireon_storage.postgres.dashboard_counts import hold_dashboard_counts
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.entities import PostgresEntityWriter
from kaireon_storage.postgres.jobs import hold_lease
from kaireon_storage.postgres.logged_customers import LoggedCustomers
from kaireon_storage.postgres.queries import queries
from kaireon_storage.redis.cached_customer import RedisCachedCustomer

_PART_ROWS = 1_000
_BY_NAME = {section.name: section for section in SECTIONS}
_CLASSES = {section.data_class for section in SECTIONS} | {LOGGED_CLASS}


class PostgresCustomerData:
    """Implements `CustomerDataStore`."""

    def __init__(self, database: Database, cache: RedisCachedCustomer, stores: ExternalStores) -> None:
        """Take an open database, where decisions cache what they read, and the interaction stores beside Postgres."""
        self._database = database
        self._cache = cache
        self._stores = stores
        self._sql: Any = queries("customer_data")

    async def holds(self, tenant_id: UUID) -> list[str]:
        """Return the data classes of customers' data that are on legal hold."""
        async with self._database.transaction(tenant_id) as connection:
            rows = [row["data_class"] async for row in self._sql.holds(connection, tenant_id=tenant_id)]
        return [name for name in rows if name in _CLASSES]

    async def customers_with_email(self, tenant_id: UUID, email: str) -> list[str]:
        """Return the ids of the customers who have this address in a text field `email`."""
        found = dict[str, None]()
        async with self._database.transaction(tenant_id) as connection:
            for table, customer in await self._tables(connection, tenant_id):
                column = table.column("email")
                if column is not None and column.data_type in {"varchar", "text"}:
                    statement = statements.select_customers(tenant_id, table, customer, column)
                    cursor = await connection.execute(statement, {"tenant_id": tenant_id, "email": email})
                    found |= dict.fromkeys([row["id"] for row in await cursor.fetchall()])
        return list(found)

    async def sections(self, tenant_id: UUID) -> list[str]:  # noqa: ARG002 - every tenant's are the same
        """Return the sections of an export."""
        stored = [STORED] if self._stores.stores else []
        return [*(section.name for section in SECTIONS if section.is_exported), SCHEMA_ROWS, LOGGED, CACHE, *stored]

    async def export_section(self, run: JobRun, ids: Sequence[str], section: str) -> None:
        """Store a section in one transaction, a part of it at a time."""
        tenant_id = run.job.tenant_id
        named = {"tenant_id": tenant_id, "request_id": run.job.id, "section": section}
        async with self._database.transaction(tenant_id) as connection:
            await self._sql.allow_long_statement(connection)
            done = [row["section"] async for row in self._sql.exported_sections(connection, **_request(run))]
            if section in done:
                return
            await self._sql.begin_section(connection, **named, ids=list(ids))
            digest, count, number = hashlib.sha256(), 0, 0
            async for lines in _parts(self._rows(connection, tenant_id, list(ids), section)):
                content = b"".join(lines)
                digest.update(content)
                count, number = count + len(lines), number + 1
                await self._sql.add_part(connection, **named, number=number, content=content)
            await self._sql.end_section(connection, **named, row_count=count, sha256=digest.hexdigest())
            await hold_lease(connection, run)

    async def erase(
        self, tenant_id: UUID, ids: Sequence[str], actor: Actor, request_id: UUID, run: JobRun | None = None
    ) -> dict[str, int]:
        """Erase the rows, then their copies in other stores, then what is cached of them."""
        counts = await self._erase_rows(tenant_id, list(ids), actor, request_id, run)
        await self._stores.erase(tenant_id, ids)
        await self._cache.erase(tenant_id, ids)
        return counts

    async def _erase_rows(
        self, tenant_id: UUID, ids: list[str], actor: Actor, request_id: UUID, run: JobRun | None
    ) -> dict[str, int]:
        async with self._database.transaction(tenant_id) as connection:
            await self._sql.allow_long_statement(connection)
            writer = PostgresEntityWriter(connection, tenant_id, actor)
            await writer.begin()
            noted = await self._sql.erasure_noted(connection, tenant_id=tenant_id, request_id=str(request_id))
            if noted is not None:
                return noted["after"]
            await hold_dashboard_counts(connection, tenant_id)
            counts = dict.fromkeys(ALWAYS_COUNTED, 0)
            for section in SECTIONS:
                counts[section.count or section.name] = await self._erase_section(connection, tenant_id, ids, section)
            counts[SCHEMA_ROWS] = await self._erase_schema_rows(connection, tenant_id, ids)
            counts[LOGGED] = await LoggedCustomers(connection, tenant_id).erase(ids)
            counts[CACHE] = await self._cache.count(tenant_id, ids)
            # The log is kept for longer than the customer: it does not say who it was.
            entry = AuditEntry(
                action=AuditAction.ERASE,
                entity_type="dsar",
                entity_id=str(request_id),
                entity_name="delete",
                after=counts,
            )
            await writer.audit.append([entry])
            if run is not None:
                await hold_lease(connection, run)
        return counts

    async def _erase_section(self, connection: Connection, tenant_id: UUID, ids: list[str], section: Section) -> int:
        if section.statements is not None:
            erase = getattr(self._sql, f"erase_{section.statements}")
            return await erase(connection, **_named(tenant_id, ids), chunk_size=CHUNK_SIZE)
        statement = statements.delete_rows(section.table, section.column or "")
        return (await connection.execute(statement, _named(tenant_id, ids))).rowcount

    async def _erase_schema_rows(self, connection: Connection, tenant_id: UUID, ids: list[str]) -> int:
        total = 0
        for table, customer in await self._tables(connection, tenant_id):
            values = _values(customer, ids)
            if values:
                statement = statements.delete_schema_rows(tenant_id, table, customer)
                total += (await connection.execute(statement, {"tenant_id": tenant_id, "values": values})).rowcount
        return total

    def _rows(
        self, connection: Connection, tenant_id: UUID, ids: list[str], name: str
    ) -> AsyncIterator[dict[str, Any]]:
        if name == CACHE:
            return self._cached(tenant_id, ids)
        if name == STORED:
            return self._stores.rows(tenant_id, ids)
        if name == LOGGED:
            return LoggedCustomers(connection, tenant_id).rows(ids)
        if name == SCHEMA_ROWS:
            return self._schema_rows(connection, tenant_id, ids)
        return _selected(connection, self._select(_BY_NAME[name]), _named(tenant_id, ids))

    async def _cached(self, tenant_id: UUID, ids: list[str]) -> AsyncGenerator[dict[str, Any]]:
        for row in await self._cache.rows(tenant_id, ids):
            yield row

    async def _schema_rows(
        self, connection: Connection, tenant_id: UUID, ids: list[str]
    ) -> AsyncGenerator[dict[str, Any]]:
        for table, customer in await self._tables(connection, tenant_id):
            parameters = {"tenant_id": tenant_id, "values": _values(customer, ids), "table": table.name}
            statement = statements.select_schema_rows(tenant_id, table, customer)
            async for row in _selected(connection, statement, parameters):
                yield row

    def _select(self, section: Section) -> Any:
        if section.column is not None:
            return statements.select_rows(section.table, section.column)
        return getattr(self._sql, f"export_{section.statements}").sql

    async def _tables(self, connection: Connection, tenant_id: UUID) -> list[tuple[SchemaTable, Column]]:
        """Return the tenant's tables of customers, each with the column that says whose row it is."""
        tables = [table_of(row["body"]) async for row in self._sql.schemas(connection, tenant_id=tenant_id)]
        return [(table, table.customer_column) for table in tables if table.customer_column is not None]


class PostgresCustomerDataExports:
    """The parts of exports, for their readers."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("customer_data")

    async def digests(self, tenant_id: UUID, id: UUID) -> dict[str, SectionDigest]:
        """Return the sections of an export that are complete."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.exported_sections(connection, tenant_id=tenant_id, request_id=id)
            return {row["section"]: SectionDigest(rows=row["row_count"], sha256=row["sha256"]) async for row in rows}

    async def lines(self, tenant_id: UUID, id: UUID, section: str) -> AsyncIterator[bytes]:
        """Yield the rows of a section, a stored part at a time."""
        number = 1
        while True:
            async with self._database.transaction(tenant_id) as connection:
                row = await self._sql.get_part(
                    connection, tenant_id=tenant_id, request_id=id, section=section, number=number
                )
            if row is None:
                return
            yield row["content"]
            number += 1


async def _selected(
    connection: Connection, statement: Any, parameters: dict[str, Any]
) -> AsyncGenerator[dict[str, Any]]:
    """Yield what a statement selects, some rows at a time."""
    async with connection.cursor(name="held") as cursor:
        await cursor.execute(statement, parameters)
        async for row in cursor:
            yield row["row"]


async def _parts(rows: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[list[bytes]]:
    """Yield rows as lines of canonical JSON, many at a time."""
    lines = list[bytes]()
    async for row in rows:
        lines.append(canonical(row) + b"\n")
        if len(lines) == _PART_ROWS:
            yield lines
            lines = []
    if lines:
        yield lines


def _values(column: Column, ids: Sequence[str]) -> list[str]:
    """Return the ids that the column can hold, in its form."""
    cast = [cast_for_lookup(column, id_) for id_ in ids]
    return [str(value) for value in cast if value is not None]


def _named(tenant_id: UUID, ids: list[str]) -> dict[str, Any]:
    """Return the parameters of a section: ids as they are, and in quotation marks, as encoders of JSON write them."""
    spellings = {json.dumps(id_, ensure_ascii=is_ascii) for id_ in ids for is_ascii in (True, False)}
    return {"tenant_id": tenant_id, "ids": ids, "spellings": list(spellings)}


def _request(run: JobRun) -> dict[str, UUID]:
    return {"tenant_id": run.job.tenant_id, "request_id": run.job.id}
