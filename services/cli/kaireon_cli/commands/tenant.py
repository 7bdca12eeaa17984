"""`kaireon tenant`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from kaireon_application.platform.tenant import CreatedTenant
from kaireon_application.platform.tenant import create_tenant as create
from kaireon_cli.connection import find_connection, opened_database
from kaireon_cli.output import print_json, print_line
from kaireon_storage.postgres.tenants import PostgresTenants

app = typer.Typer(no_args_is_help=True, help="Tenants.")


@app.callback()
def tenants() -> None:
    """Tenants."""


@app.command("create")
def create_tenant(
    key: Annotated[str, typer.Option(help="The tenant's unique key.")],
    name: Annotated[str, typer.Option(help="The tenant's name, for people.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print {tenantId, key, name, apiKey} and nothing else.")] = False,
) -> None:
    """Create a tenant and print its admin key, this once."""
    created = asyncio.run(_create(key, name))
    if json:
        print_json(created)
        return
    print_line(f"Tenant {created.key} ({created.name}): {created.tenant_id}")
    print_line(f"Admin key, shown this once: {created.api_key}")


async def _create(key: str, name: str) -> CreatedTenant:
    connection = find_connection()
    pepper = connection.require_pepper()
    async with opened_database(connection) as database:
        return await create(PostgresTenants(database), key=key, name=name, pepper=pepper, now=datetime.now(UTC))
