"""`kaireon key`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from kaireon_application.platform.api_key import IssuedApiKey, KeyRole, NewApiKey, create_api_key
from kaireon_application.platform.tenant import find_tenant
from kaireon_cli.connection import find_connection, opened_database
from kaireon_cli.output import print_json, print_line
from kaireon_storage.postgres.api_keys import PostgresApiKeys
from kaireon_storage.postgres.tenants import PostgresTenants

app = typer.Typer(no_args_is_help=True, help="API keys.")


@app.callback()
def keys() -> None:
    """API keys."""


@app.command("create")
def create_key(
    tenant: Annotated[str, typer.Option(help="The tenant, by key or id.")],
    role: Annotated[KeyRole, typer.Option(help="What the key may do.")] = KeyRole.VIEWER,
    name: Annotated[str | None, typer.Option(help="The key's name, for people.")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print {id, role, apiKey} and nothing else.")] = False,
) -> None:
    """Create an API key of a tenant and print it, this once."""
    issued = asyncio.run(_create(tenant, role, name))
    if json:
        print_json({"id": issued.record.id, "role": issued.record.role, "apiKey": issued.text})
        return
    print_line(f"API key {issued.record.id} ({issued.record.role}), shown this once: {issued.text}")


async def _create(tenant: str, role: KeyRole, name: str | None) -> IssuedApiKey:
    connection = find_connection()
    pepper = connection.require_pepper()
    async with opened_database(connection) as database:
        found = await find_tenant(PostgresTenants(database), tenant)
        request = NewApiKey(name=name, role=role)
        store = PostgresApiKeys(database)
        return await create_api_key(store, found.tenant_id, request, pepper=pepper, now=datetime.now(UTC))
