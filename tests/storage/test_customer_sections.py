"""Whatever names a customer is in the one table of what is held about them."""

from __future__ import annotations

import psycopg

from kaireon_storage.postgres.customer_sections import ALWAYS_COUNTED, DOCUMENTS, EXEMPT, SECTIONS
from kaireon_storage.postgres.queries import queries

_NAMING = """
    SELECT columns.table_name, columns.column_name
    FROM information_schema.columns
    JOIN pg_class ON pg_class.oid = format('%I.%I', table_schema, table_name)::regclass AND NOT pg_class.relispartition
    WHERE table_schema = 'public' AND table_name NOT LIKE '%yoyo%'
    AND (column_name ~ 'customer|subject_id|profile_id|visitor|recipient|email'
        OR (table_name LIKE '%outbox%' AND column_name = 'key'))
"""


def test_every_column_that_names_a_customer_is_in_a_section_or_exempt(database_url: str) -> None:
    listed = {(section.table, section.column) for section in SECTIONS}
    with psycopg.connect(database_url) as connection:
        found = {(table, column) for table, column in connection.execute(_NAMING).fetchall()}
    assert found - listed - set(EXEMPT) == set(), "add a line to SECTIONS, or to EXEMPT with its reason"
    assert found >= {(table, column) for table, column in listed if column is not None}
    assert found >= set(EXEMPT)


_DOCUMENTS = """
    SELECT columns.table_name, format('%I.%I', columns.table_name, columns.column_name)
    FROM information_schema.columns
    JOIN pg_class ON pg_class.oid = format('%I.%I', table_schema, table_name)::regclass AND NOT pg_class.relispartition
    WHERE table_schema = 'public' AND table_name NOT LIKE '%yoyo%' AND data_type IN ('json', 'jsonb', 'bytea')
"""


def test_every_document_is_of_a_section_or_its_reason_is_told(database_url: str) -> None:
    sections = {section.table for section in SECTIONS}
    with psycopg.connect(database_url) as connection:
        found = {column for table, column in connection.execute(_DOCUMENTS).fetchall() if table not in sections}
    assert found - set(DOCUMENTS) == set(), "a customer may be in it: add a section, or a line to DOCUMENTS"
    assert set(DOCUMENTS) - found == set()
    assert all(DOCUMENTS.values())


def test_a_table_with_a_customer_would_be_noticed(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE enrolments (tenant_id uuid, customer_id text)")
        assert ("enrolments", "customer_id") in connection.execute(_NAMING).fetchall()


def test_a_section_has_a_column_or_statements() -> None:
    statements = queries("customer_data")
    for section in SECTIONS:
        assert section.column is not None or section.statements is not None
        if section.statements is not None:
            assert hasattr(statements, f"erase_{section.statements}")
            assert section.column or not section.is_exported or hasattr(statements, f"export_{section.statements}")
    names = [section.name for section in SECTIONS]
    assert len(set(names)) == len(names)
    assert all(section.count is None or section.count in ALWAYS_COUNTED for section in SECTIONS)
