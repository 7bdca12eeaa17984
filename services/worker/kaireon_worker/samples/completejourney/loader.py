"""Seeds the pack into a tenant, and takes it out again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from kaireon_application.customers.schema import SCHEMA
from kaireon_application.customers.schema_table import table_of
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.governance.actor import of_job
from kaireon_application.platform.job import JobRun
from kaireon_application.platform.sample_packs import COMPLETE_JOURNEY
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntityReader
from kaireon_storage.postgres.sample_history import SampleHistory, forget_entities
from kaireon_storage.postgres.schema_tables import PostgresSchemaWriter
from kaireon_worker.samples.completejourney.schemas import HOUSEHOLDS, REDEMPTIONS
from kaireon_worker.samples.completejourney.seeding import Seeding
from kaireon_worker.samples.completejourney.tenant_copy import read_copy
from kaireon_worker.samples.definition import Identities
from kaireon_worker.samples.pack import SeedServices

_KEY = COMPLETE_JOURNEY.key


async def seed(run: JobRun, services: SeedServices, *, force: bool) -> dict[str, Any]:
    """Create what is missing; see `SamplePack.seed`."""
    if force:
        await unload(run, services)
    elif await _is_loaded(services.database, run.job.tenant_id):
        return {"dataset": _KEY, "alreadyLoaded": True, "created": {}}
    created = await Seeding(run, services.database, read_copy(run.job.tenant_id)).complete()
    return {"dataset": _KEY, "alreadyLoaded": False, "created": created}


async def unload(run: JobRun, services: SeedServices) -> dict[str, Any]:
    """Take out what seeding created; see `SamplePack.unload`."""
    copy = read_copy(run.job.tenant_id)
    async with services.database.transaction(copy.tenant_id) as connection:
        writer = PostgresSchemaWriter(connection, copy.tenant_id, of_job(run.job.id))
        await writer.begin()
        references = [copy.ids.text(SCHEMA.name, key) for key in (HOUSEHOLDS, REDEMPTIONS)]
        for schema in (await writer.find(SCHEMA.name, references)).values():
            await writer.drop_table(table_of(schema.body))
        counts = await SampleHistory(connection, copy.tenant_id, _KEY).forget(copy.customer_ids)
        entity_count = await forget_entities(writer, copy.entity_ids)
    return {"dataset": _KEY, "removed": {"entity": entity_count, "interaction": counts.interactions}}


async def _is_loaded(database: Database, tenant_id: UUID) -> bool:
    """Return whether the flow is published: that is the last step, so every other one was done."""
    reference = Identities(tenant_id, _KEY).text(DECISION_FLOW.name, COMPLETE_JOURNEY.flow_key)
    async with database.transaction(tenant_id) as connection:
        found = await PostgresEntityReader(connection, tenant_id).find(DECISION_FLOW.name, [reference])
    return any(flow.body["publishedVersions"] for flow in found.values())
