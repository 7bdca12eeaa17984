"""`kaireon data`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.customers.schema_data import CustomerCache
from kaireon_application.customers.schema_table import table_of
from kaireon_application.platform.tenant import find_tenant
from kaireon_cli.connection import find_connection, opened_database
from kaireon_cli.output import print_json, print_line
from kaireon_cli.row_file import RowFile, opened_rows
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows
from kaireon_storage.postgres.tenants import PostgresTenants
from kaireon_storage.redis.connection import connect
from kaireon_storage.redis.customer_cache import RedisCustomerCache

app = typer.Typer(no_args_is_help=True, help="Rows of the tenants' schemas.")

_CACHE_TIMEOUT_SECONDS = 5


@app.callback()
def data() -> None:
    """Rows of the tenants' schemas."""


@app.command("load")
def load_data(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or NDJSON; .gz of both.", metavar="FILE")],
    schema: Annotated[str, typer.Option(help="The schema, by key or id.")],
    tenant: Annotated[str, typer.Option(help="The tenant, by key or id.")] = "demo",
    *,
    json: Annotated[bool, typer.Option("--json", help="Print {inserted} and nothing else.")] = False,
) -> None:
    """Store a file's rows at once; those whose key is there already are left as they are."""
    inserted = asyncio.run(_load(file, schema, tenant))
    if json:
        print_json({"inserted": inserted})
        return
    print_line(f"{inserted} new rows in {schema}")


async def _load(file: Path, schema: str, tenant: str) -> int:
    connection = find_connection()
    async with opened_database(connection) as database:
        redis = connect(connection.redis_url, _CACHE_TIMEOUT_SECONDS, Retry(NoBackoff(), 1))
        async with redis:
            return await _copy(database, RedisCustomerCache(redis, Metrics()), file, schema, tenant)


async def _copy(database: Database, cache: CustomerCache, file: Path, schema: str, tenant: str) -> int:
    tenant_id = (await find_tenant(PostgresTenants(database), tenant)).tenant_id
    table = table_of((await get_entity(PostgresEntities(database), tenant_id, "schema", schema)).body)
    column = table.customer_column
    customers: set[str] = set()
    with opened_rows(file, table) as content:
        rows = _noting(content, column.name if column else None, customers)
        inserted = await PostgresSchemaRows(database).copy_rows(tenant_id, table, content.columns, rows)
    await cache.forget(tenant_id, customers)
    return inserted


def _noting(content: RowFile, column: str | None, customers: set[str]) -> Iterator[Sequence[Any]]:
    """Yield the rows, and remember whose they are."""
    position = content.columns.index(column) if column in content.columns else None
    for row in content.rows:
        if position is not None and row[position] is not None:
            customers.add(str(row[position]))
        yield row
