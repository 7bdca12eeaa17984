"""Statements over the sections whose rows name their customer in a column, and over tenants' own tables."""

from __future__ import annotations

from uuid import UUID

from psycopg.sql import SQL, Composed, Identifier

from kaireon_application.customers.schema_table import Column, SchemaTable
from kaireon_storage.postgres.table_statements import column_type, relation


def select_rows(table: str, column: str) -> Composed:
    """Return the rows of the customers `%(ids)s`, as JSON, in a fixed order."""
    return SQL(
        "SELECT to_jsonb(held) AS row FROM {} AS held WHERE tenant_id = %(tenant_id)s AND {} = ANY(%(ids)s::text[])"
        " ORDER BY to_jsonb(held)::text"
    ).format(Identifier(table), Identifier(column))


def delete_rows(table: str, column: str) -> Composed:
    """Return the deletion of the rows of the customers `%(ids)s`."""
    return SQL("DELETE FROM {} WHERE tenant_id = %(tenant_id)s AND {} = ANY(%(ids)s::text[])").format(
        Identifier(table), Identifier(column)
    )


def select_schema_rows(tenant_id: UUID, table: SchemaTable, column: Column) -> Composed:
    """Return the rows of a tenant's table whose column is one of the texts `%(values)s`, as JSON."""
    return SQL(
        "SELECT jsonb_build_object('table', %(table)s::text, 'row', to_jsonb(held) - 'tenant_id') AS row"
        " FROM {} AS held WHERE tenant_id = %(tenant_id)s AND {} = ANY(%(values)s::text[]::{}[])"
        " ORDER BY to_jsonb(held)::text"
    ).format(relation(tenant_id, table), Identifier(column.name), column_type(column))


def delete_schema_rows(tenant_id: UUID, table: SchemaTable, column: Column) -> Composed:
    """Return the deletion of these rows."""
    return SQL("DELETE FROM {} WHERE tenant_id = %(tenant_id)s AND {} = ANY(%(values)s::text[]::{}[])").format(
        relation(tenant_id, table), Identifier(column.name), column_type(column)
    )


def select_customers(tenant_id: UUID, table: SchemaTable, customer: Column, email: Column) -> Composed:
    """Return whose rows have this e-mail address, in any case of letters."""
    return SQL(
        "SELECT DISTINCT {}::text AS id FROM {} WHERE tenant_id = %(tenant_id)s AND lower({}) = lower(%(email)s)"
        " AND {} IS NOT NULL ORDER BY id"
    ).format(Identifier(customer.name), relation(tenant_id, table), Identifier(email.name), Identifier(customer.name))
