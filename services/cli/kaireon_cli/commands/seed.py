"""`kaireon seed`."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from kaireon_application.platform.job_seed_dataset import request_seeding
from kaireon_application.platform.jobs import accepted
from kaireon_application.platform.tenant import find_tenant
from kaireon_cli.connection import find_connection, opened_database, opened_jobs
from kaireon_cli.output import print_json, print_line
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.tenants import PostgresTenants


def seed_pack(
    pack: Annotated[str, typer.Argument(help="The sample pack, such as completejourney.")],
    tenant: Annotated[str, typer.Option(help="The tenant, by key or id.")] = "demo",
    *,
    force: Annotated[bool, typer.Option("--force", help="Load it again over itself.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print {jobId, statusUrl} and nothing else.")] = False,
) -> None:
    """Have a worker load a sample pack into a tenant."""
    job = accepted(asyncio.run(_request(pack, tenant, force=force)))
    if json:
        print_json(job)
        return
    print_line(f"Queued as job {job.job_id}; its progress: GET {job.status_url}")


async def _request(pack: str, tenant: str, *, force: bool) -> UUID:
    connection = find_connection()
    async with opened_database(connection) as database, opened_jobs(connection, database) as jobs:
        found = await find_tenant(PostgresTenants(database), tenant)
        return await request_seeding(PostgresEntities(database), jobs, found.tenant_id, pack, force=force)
