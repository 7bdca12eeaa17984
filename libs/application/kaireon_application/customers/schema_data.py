"""The rows of a tenant's own tables: checked, stored, looked up, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Collection, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.refusal import refuse
from kaireon_application.customers.schema_table import Column, SchemaTable, stored_form, value_problem
from kaireon_application.errors import InvalidInput
from kaireon_core.problems import Problem

Row = dict[str, Any]

_MAX_PROBLEMS = 100


class RowPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of a table in the order of its primary key, and how many there are in all."""

    rows: list[Row]
    total: int


class TableStats(msgspec.Struct, frozen=True, kw_only=True):
    """How large a table is; `null_counts` has a number for each field."""

    row_count: int
    size_bytes: int
    null_counts: dict[str, int]


class SchemaRows(Protocol):
    """Reads rows: dates and instants come as ISO 8601 text, numeric as float."""

    async def lookup(
        self, tenant_id: UUID, table: SchemaTable, lookup_key: str, values: Collection[Hashable]
    ) -> dict[Hashable, Row]:
        """Return for each value the first row (by primary key) whose lookup column equals it.

        Values are cast to the column's type; one that cannot be cast has no row, nor has anything in an unknown
        column or in a table that was dropped meanwhile.
        """
        ...

    def stream(
        self, tenant_id: UUID, table: SchemaTable, columns: Sequence[str], batch: int
    ) -> AsyncIterator[list[Row]]:
        """Yield all rows in the order of the primary key, `batch` at a time, from one snapshot."""
        ...

    async def page(self, tenant_id: UUID, table: SchemaTable, limit: int, offset: int) -> RowPage:
        """Return one page of rows."""
        ...

    async def stats(self, tenant_id: UUID, table: SchemaTable) -> TableStats:
        """Return how large the table is."""
        ...


class SchemaRowWriter(Protocol):
    """Stores rows; a row whose key or unique value exists is left out."""

    async def insert(self, tenant_id: UUID, table: SchemaTable, rows: Sequence[Row], *, is_told: bool = False) -> int:
        """Store checked rows and return how many were new; where it `is_told`, a job reacts to whose they are."""
        ...

    async def copy_rows(
        self,
        tenant_id: UUID,
        table: SchemaTable,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
    ) -> int:
        """Store many rows at once and return how many were new. Raises `InvalidInput` when a value does not fit."""
        ...


class CustomerCache(Protocol):
    """Cached customer data; called after a write to the table that it was read from."""

    async def forget(self, tenant_id: UUID, customer_ids: Collection[str]) -> None:
        """Drop what is cached of these customers. A cache that cannot be reached is counted, never an error."""
        ...


async def store_rows(
    writer: SchemaRowWriter,
    cache: CustomerCache,
    tenant_id: UUID,
    table: SchemaTable,
    rows: Sequence[Row],
    *,
    is_told: bool = False,
) -> int:
    """Check and store rows; return how many were new. Where it `is_told`, a job reacts to new customers.

    Raises `InvalidInput` with the path of every bad value.
    """
    checked = checked_rows(table, rows)
    inserted = await writer.insert(tenant_id, table, checked, is_told=is_told)
    await cache.forget(tenant_id, customer_ids(table, checked))
    return inserted


def checked_rows(table: SchemaTable, rows: Sequence[Row]) -> list[Row]:
    """Return rows with a value for every column, ready to be stored. Raises `InvalidInput`."""
    problems = (problem for index, row in enumerate(rows) for problem in _problems(table, row, f"$.rows[{index}]"))
    refuse(InvalidInput, islice(problems, _MAX_PROBLEMS))
    return [{column.name: _stored(column, row) for column in table.columns} for row in rows]


def customer_ids(table: SchemaTable, rows: Iterable[Row]) -> set[str]:
    """Return whose rows these are, as text."""
    column = table.customer_column
    return {str(row[column.name]) for row in rows if row[column.name] is not None} if column else set()


def _problems(table: SchemaTable, row: Row, path: str) -> Iterator[Problem]:
    columns = {column.name: column for column in table.columns}
    for name, value in row.items():
        column = columns.get(name)
        wrong = "is not a field of this schema" if column is None else _problem(column, value)
        if wrong:
            yield Problem(path=f"{path}.{name}", message=wrong)
    for name, column in columns.items():
        if name not in row and column.is_required:
            yield Problem(path=f"{path}.{name}", message="is required")


def _problem(column: Column, value: object) -> str | None:
    if value is not None:
        return value_problem(column, value)
    return "must not be null" if column.is_primary_key or not column.is_nullable else None


def _stored(column: Column, row: Row) -> object:
    return stored_form(column, row.get(column.name, column.default))
