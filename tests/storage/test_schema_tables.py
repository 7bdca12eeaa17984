"""Tenants' own tables in Postgres: lookups, loads and streams."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kaireon_application.catalog.kind import Caller
from kaireon_application.customers.schema import NewSchema, SchemaField
from kaireon_application.customers.schema_table import SchemaTable, table_of
from kaireon_application.customers.write_schema import create_schema
from kaireon_application.errors import InvalidInput
from kaireon_application.governance.actor import SYSTEM
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows, PostgresSchemas

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant

FIELDS = (
    SchemaField(name="customer_id", data_type="bigint", is_primary_key=True),
    SchemaField(name="code", data_type="varchar"),
    SchemaField(name="price", data_type="numeric", precision=8, scale=3),
    SchemaField(name="born", data_type="date"),
    SchemaField(name="seen", data_type="timestamp"),
    SchemaField(name="is_on", data_type="boolean"),
    SchemaField(name="rate", data_type="double"),
    SchemaField(name="extra", data_type="json"),
)
ROWS = [
    (1, "a", "1.500", "2026-01-31", "2026-01-31T12:00:00Z", True, 0.5, '{"x": 1}'),
    (2, "b", None, None, None, None, None, None),
    (3, "b", "2.000", "2026-02-01", "2026-02-01", False, 1.5, "[1]"),
]


@pytest.fixture
async def table(database: Database, tenant: Tenant) -> SchemaTable:
    caller = Caller(tenant_id=tenant.tenant_id, is_admin=True, at=datetime.now(UTC))
    form = NewSchema(name="people", fields=list(FIELDS))
    return table_of((await create_schema(PostgresSchemas(database), caller, form)).body)


@pytest.fixture
def rows(database: Database) -> PostgresSchemaRows:
    return PostgresSchemaRows(database)


async def load(rows: PostgresSchemaRows, tenant: Tenant, table: SchemaTable) -> int:
    return await rows.copy_rows(tenant.tenant_id, table, [column.name for column in table.columns], ROWS)


async def test_copied_rows_are_looked_up_by_any_form_of_their_value(
    rows: PostgresSchemaRows, tenant: Tenant, table: SchemaTable
) -> None:
    assert await load(rows, tenant, table) == 3

    found = await rows.lookup(tenant.tenant_id, table, "customer_id", ["1", 1, 3.0, "9", "x", "1.5", None, True, 2**70])

    first = {
        "customer_id": 1,
        "code": "a",
        "price": 1.5,
        "born": "2026-01-31",
        "seen": "2026-01-31T12:00:00Z",
        "is_on": True,
        "rate": 0.5,
        "extra": {"x": 1},
    }
    assert found["1"] == first
    assert found.keys() == {"1", 1, 3.0}


async def test_a_lookup_by_another_column_takes_the_first_row_by_key(
    rows: PostgresSchemaRows, tenant: Tenant, table: SchemaTable
) -> None:
    await load(rows, tenant, table)

    async def ids(column: str, *values: Hashable) -> dict[object, int]:
        found = await rows.lookup(tenant.tenant_id, table, column, values)
        return {value: row["customer_id"] for value, row in found.items()}

    assert await ids("code", "b", "c", 7) == {"b": 2}
    assert await ids("price", "1.5", 2, "nan") == {"1.5": 1, 2: 3}
    assert await ids("born", "2026-01-31", "x") == {"2026-01-31": 1}
    assert await ids("seen", "2026-01-31T13:00:00+01:00") == {"2026-01-31T13:00:00+01:00": 1}
    assert await ids("is_on", "false", True) == {"false": 3, True: 1}
    assert await ids("rate", 0.5, "1.5") == {0.5: 1, "1.5": 3}
    assert await ids("extra", "x") == {}
    assert await ids("no_such_column", "x") == {}


async def test_loading_again_changes_nothing_and_a_bad_value_loads_nothing(
    rows: PostgresSchemaRows, tenant: Tenant, table: SchemaTable
) -> None:
    await load(rows, tenant, table)

    assert await load(rows, tenant, table) == 0
    with pytest.raises(InvalidInput):
        await rows.copy_rows(tenant.tenant_id, table, ["customer_id", "born"], [(7, "2026-01-01"), (8, "soon")])
    assert (await rows.page(tenant.tenant_id, table, 10, 0)).total == 3


async def test_a_stream_yields_chosen_columns_in_batches_in_order(
    rows: PostgresSchemaRows, tenant: Tenant, table: SchemaTable
) -> None:
    await load(rows, tenant, table)

    batches = [batch async for batch in rows.stream(tenant.tenant_id, table, ["seen", "customer_id", "price"], 2)]

    assert batches == [
        [
            {"seen": "2026-01-31T12:00:00Z", "customer_id": 1, "price": 1.5},
            {"seen": None, "customer_id": 2, "price": None},
        ],
        [{"seen": "2026-02-01T00:00:00Z", "customer_id": 3, "price": 2.0}],
    ]


async def test_a_table_that_is_gone_has_no_rows(
    rows: PostgresSchemaRows, tenant: Tenant, table: SchemaTable, database: Database
) -> None:
    async with PostgresSchemas(database).writing(tenant.tenant_id, SYSTEM) as writer:
        await writer.drop_table(table)

    assert await rows.lookup(tenant.tenant_id, table, "customer_id", [1]) == {}
