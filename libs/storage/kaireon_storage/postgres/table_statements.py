"""Statements over tenants' own tables.

Their tables and columns have names that operators chose, so these statements cannot stand in a `.sql` file: this is the
one place where SQL is composed, from quoted identifiers and never from text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal
from psycopg.types.json import Jsonb

from kaireon_application.customers.schema_table import Column, SchemaTable

_TYPES: dict[str, SQL] = {
    "varchar": SQL("varchar"),
    "text": SQL("text"),
    "integer": SQL("integer"),
    "bigint": SQL("bigint"),
    "double": SQL("double precision"),
    "numeric": SQL("numeric"),
    "boolean": SQL("boolean"),
    "date": SQL("date"),
    "timestamp": SQL("timestamptz"),
    "json": SQL("jsonb"),
}
_COMMA = SQL(", ")


def namespace(tenant_id: UUID) -> Identifier:
    """Return the Postgres schema of a tenant."""
    return Identifier(f"tenant_{tenant_id.hex}")


def relation(tenant_id: UUID, table: SchemaTable) -> Identifier:
    """Return the qualified name of a table."""
    return Identifier(f"tenant_{tenant_id.hex}", table.name)


def column_type(column: Column) -> SQL:
    """Return a column's type, without its length."""
    return _TYPES[column.data_type]


def create_namespace(tenant_id: UUID) -> Composed:
    """Return what makes sure that the tenant's Postgres schema exists and may be used."""
    name = namespace(tenant_id)
    return SQL("CREATE SCHEMA IF NOT EXISTS {}; GRANT USAGE ON SCHEMA {} TO kaireon_app").format(name, name)


def create_table(tenant_id: UUID, table: SchemaTable) -> Composed:
    """Return the table's definition, with the index that a lookup by customer needs."""
    definitions: list[Composable] = [SQL("tenant_id uuid NOT NULL DEFAULT {}::uuid").format(Literal(str(tenant_id)))]
    if table.row_number:
        definitions.append(SQL("{} bigint GENERATED ALWAYS AS IDENTITY").format(Identifier(table.row_number)))
    definitions += [_definition(column) for column in table.columns]
    definitions.append(SQL("PRIMARY KEY ({})").format(names(table.primary_key)))
    statement = SQL("CREATE TABLE {} ({})").format(relation(tenant_id, table), _COMMA.join(definitions))
    customer = table.customer_column
    if customer is None or customer.is_unique or table.primary_key[0] == customer.name:
        return statement
    index = SQL("CREATE INDEX ON {} ({})").format(relation(tenant_id, table), Identifier(customer.name))
    return SQL("{}; {}").format(statement, index)


def add_columns(tenant_id: UUID, table: SchemaTable, columns: Sequence[Column]) -> Composed:
    """Return what adds columns to a table."""
    additions = _COMMA.join(SQL("ADD COLUMN {}").format(_definition(column)) for column in columns)
    return SQL("ALTER TABLE {} {}").format(relation(tenant_id, table), additions)


def drop_table(tenant_id: UUID, table: SchemaTable) -> Composed:
    """Return what drops a table."""
    return SQL("DROP TABLE IF EXISTS {}").format(relation(tenant_id, table))


def insert_rows(tenant_id: UUID, table: SchemaTable) -> Composed:
    """Return the insertion of the JSON array `%(rows)s`, which answers whose the new rows are."""
    typed = [SQL("{} {}").format(Identifier(column.name), _TYPES[column.data_type]) for column in table.columns]
    columns = names(column.name for column in table.columns)
    return SQL(
        "INSERT INTO {} (tenant_id, {}) SELECT %(tenant_id)s, {} FROM jsonb_to_recordset(%(rows)s) AS given ({})"
        " ON CONFLICT DO NOTHING RETURNING {}"
    ).format(relation(tenant_id, table), columns, columns, _COMMA.join(typed), _owner(table))


def set_value(tenant_id: UUID, table: SchemaTable, customer: Column, field: str) -> Composed:
    """Return what sets a field to `value` of the JSON object `%(value)s` in the rows of `%(customer_id)s`."""
    column = table.column(field)
    assert column is not None, field  # noqa: S101 - asked for columns of the table only
    return SQL(
        "UPDATE {} SET {} = given.value FROM jsonb_to_record(%(value)s) AS given (value {})"
        " WHERE tenant_id = %(tenant_id)s AND {}::text = %(customer_id)s"
    ).format(relation(tenant_id, table), Identifier(field), _TYPES[column.data_type], Identifier(customer.name))


def _owner(table: SchemaTable) -> Composable:
    """Return whose row it is as text, null where a table does not say."""
    column = table.customer_column
    return SQL("NULL") if column is None else SQL("{}::text").format(Identifier(column.name))


def create_staging(tenant_id: UUID, table: SchemaTable, columns: Sequence[str]) -> Composed:
    """Return an empty copy of some columns that lives as long as the transaction."""
    return SQL(
        "CREATE TEMPORARY TABLE staging ON COMMIT DROP AS SELECT {} FROM {} WHERE tenant_id = {}::uuid LIMIT 0"
    ).format(names(columns), relation(tenant_id, table), Literal(str(tenant_id)))


def copy_into_staging(columns: Sequence[str]) -> Composed:
    """Return the COPY that fills the staging table."""
    return SQL("COPY staging ({}) FROM STDIN").format(names(columns))


def move_from_staging(tenant_id: UUID, table: SchemaTable, columns: Sequence[str]) -> Composed:
    """Return the insertion of what was staged."""
    return SQL("INSERT INTO {} (tenant_id, {}) SELECT %(tenant_id)s, {} FROM staging ON CONFLICT DO NOTHING").format(
        relation(tenant_id, table), names(columns), names(columns)
    )


def lookup_rows(tenant_id: UUID, table: SchemaTable, key: Column) -> Composed:
    """Return the first row for each of the texts `%(values)s`; `lookup_place` counts the values from 1."""
    return SQL(
        "SELECT given.place AS lookup_place, found.*"
        " FROM unnest(%(values)s::text[]::{}[]) WITH ORDINALITY AS given (value, place)"
        " CROSS JOIN LATERAL ("
        "SELECT {} FROM {} WHERE tenant_id = %(tenant_id)s AND {} = given.value ORDER BY {} LIMIT 1"
        ") AS found"
    ).format(
        _TYPES[key.data_type],
        _selected(table, [column.name for column in table.columns]),
        relation(tenant_id, table),
        Identifier(key.name),
        names(table.primary_key),
    )


def read_rows(tenant_id: UUID, table: SchemaTable, columns: Sequence[str]) -> Composed:
    """Return all rows in the order of the primary key."""
    return SQL("SELECT {} FROM {} WHERE tenant_id = %(tenant_id)s ORDER BY {}").format(
        _selected(table, columns), relation(tenant_id, table), names(table.primary_key)
    )


def page_rows(tenant_id: UUID, table: SchemaTable, columns: Sequence[str]) -> Composed:
    """Return one page of rows."""
    return SQL("{} LIMIT %(limit)s OFFSET %(offset)s").format(read_rows(tenant_id, table, columns))


def sample_rows(tenant_id: UUID, table: SchemaTable, columns: Sequence[str]) -> Composed:
    """Return at most `%(limit)s` rows, drawn by a hash of their primary key under `%(seed)s`."""
    keys = names(table.primary_key)
    return SQL(
        "SELECT {} FROM {} WHERE tenant_id = %(tenant_id)s"
        " ORDER BY hashtextextended(ROW({})::text, %(seed)s), {} LIMIT %(limit)s"
    ).format(_selected(table, columns), relation(tenant_id, table), keys, keys)


def count_rows(tenant_id: UUID, table: SchemaTable) -> Composed:
    """Return how many rows there are, and in the order of the columns how many have a value."""
    counts = [
        SQL("count({}) AS {}").format(Identifier(column.name), Identifier(f"filled_{index}"))
        for index, column in enumerate(table.columns)
    ]
    return SQL("SELECT count(*) AS total, {} FROM {} WHERE tenant_id = %(tenant_id)s").format(
        _COMMA.join(counts), relation(tenant_id, table)
    )


def count_total(tenant_id: UUID, table: SchemaTable) -> Composed:
    """Return how many rows there are."""
    return SQL("SELECT count(*) AS total FROM {} WHERE tenant_id = %(tenant_id)s").format(relation(tenant_id, table))


def count_members(tenant_id: UUID, table: SchemaTable, fields: Sequence[str]) -> Composed:
    """Return how many rows satisfy all of `%(operators)s` with `%(operands)s`, one for each of these fields."""
    columns = {column.name: column for column in table.columns}
    tests = [
        SQL("kaireon_holds({}, (%(operators)s::text[])[{}], nullif(%(operands)s::jsonb -> {}, 'null'))").format(
            _as_json(columns[field]), Literal(place + 1), Literal(place)
        )
        for place, field in enumerate(fields)
    ]
    conditions = SQL(" AND ").join([SQL("tenant_id = %(tenant_id)s"), *tests])
    return SQL("SELECT count(*) AS total FROM {} WHERE {}").format(relation(tenant_id, table), conditions)


def _as_json(column: Column) -> Composed:
    """Return a value as conditions see it: instants as ISO 8601 text in UTC."""
    name = Identifier(column.name)
    if column.data_type == "json":
        return SQL("nullif({}, 'null')").format(name)
    if column.data_type != "timestamp":
        return SQL("to_jsonb({})").format(name)
    pattern = SQL(
        "to_jsonb(to_char({} AT TIME ZONE 'UTC', CASE date_trunc('second', {}) WHEN {}"
        ' THEN \'YYYY-MM-DD"T"HH24:MI:SS"Z"\' ELSE \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\' END))'
    )
    return pattern.format(name, name, name)


def names(columns: Iterable[str]) -> Composed:
    """Return quoted names, separated by commas."""
    return _COMMA.join(Identifier(name) for name in columns)


def _definition(column: Column) -> Composable:
    parts: list[Composable] = [Identifier(column.name), _full_type(column)]
    if column.default is not None:
        parts.append(SQL("DEFAULT {}").format(_literal(column)))
    if not column.is_nullable:
        parts.append(SQL("NOT NULL"))
    if column.is_unique:
        parts.append(SQL("UNIQUE"))
    return SQL(" ").join(parts)


def _full_type(column: Column) -> Composable:
    base = _TYPES[column.data_type]
    if column.length is not None:
        return SQL("{}({})").format(base, Literal(column.length))
    if column.precision is not None:
        return SQL("{}({}, {})").format(base, Literal(column.precision), Literal(column.scale or 0))
    return base


def _literal(column: Column) -> Composable:
    return Literal(Jsonb(column.default) if column.data_type == "json" else column.default)


def _selected(table: SchemaTable, columns: Sequence[str]) -> Composed:
    """Return the columns to read; numeric as double precision, which is what answers and models take."""
    numeric = {column.name for column in table.columns if column.data_type == "numeric"}
    return _COMMA.join(
        SQL("{}::double precision AS {}").format(Identifier(name), Identifier(name))
        if name in numeric
        else Identifier(name)
        for name in columns
    )
