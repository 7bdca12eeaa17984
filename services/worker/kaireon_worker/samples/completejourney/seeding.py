"""The steps of one seeding; each leaves what is there already, so that a seeding that was cut off goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from kaireon_application.catalog.entities import Entity, EntityReader
from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.kinds import CATALOGUE_KINDS
from kaireon_application.customers.schema import SCHEMA
from kaireon_application.customers.schema_table import table_of
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.decisioning.publish_flow import publish_draft
from kaireon_application.errors import Conflict
from kaireon_application.governance.actor import of_job
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL
from kaireon_application.learning.evidence import NOTHING_KNOWN
from kaireon_application.learning.promote_model import PromotionRequest, promoted
from kaireon_application.platform.job import JobRefused, JobRun
from kaireon_application.platform.sample_packs import COMPLETE_JOURNEY
from kaireon_core.learning.lifecycle import RegistryStatus
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.flows import PostgresFlowWriter
from kaireon_storage.postgres.sample_history import HistoryCounts, SampleHistory, forget_deleted_entities
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows, PostgresSchemaWriter
from kaireon_worker.samples.completejourney.customers import household_rows
from kaireon_worker.samples.completejourney.flow import flow
from kaireon_worker.samples.completejourney.history import contacts
from kaireon_worker.samples.completejourney.model_forms import REDEMPTION_MODEL
from kaireon_worker.samples.completejourney.schemas import HOUSEHOLDS, REDEMPTIONS
from kaireon_worker.samples.completejourney.source import shift_from
from kaireon_worker.samples.completejourney.tenant_copy import TenantCopy
from kaireon_worker.samples.completejourney.training_rows import training_row_count, training_rows
from kaireon_worker.samples.planting import plant

_KINDS = {kind.name: kind for kind in (*CATALOGUE_KINDS, SCHEMA, ALGORITHM_MODEL, DECISION_FLOW)}
# A model does not become champion in one step.
_TO_CHAMPION = ((RegistryStatus.DRAFT, RegistryStatus.CHALLENGER), (RegistryStatus.CHALLENGER, RegistryStatus.CHAMPION))


class Seeding:
    """One run of the seed job."""

    def __init__(self, run: JobRun, database: Database, copy: TenantCopy) -> None:
        """Seed this copy, telling the run how far it is."""
        self._run = run
        self._database = database
        self._copy = copy
        self._rows = PostgresSchemaRows(database)
        self._entities = PostgresEntities(database)
        self._now = datetime.now(UTC)
        self._actor = of_job(run.job.id)
        self._caller = Caller(tenant_id=copy.tenant_id, is_admin=True, at=self._now, actor=self._actor)
        self._processed = 0

    async def complete(self) -> dict[str, int]:
        """Do every step and return how many things of each kind were created. Raises `JobRefused`."""
        copy = self._copy
        await self._advance(0)
        shift = await self._shift()
        created = await self._configure(shift)
        created["customer"] = await self._fill(HOUSEHOLDS, household_rows(copy.source))
        await self._advance(len(copy.customer_ids))
        rows = training_rows(copy.source, copy.facts, copy.redeemed, shift)
        created["training_row"] = await self._fill(REDEMPTIONS, rows)
        await self._advance(training_row_count(copy.source, copy.facts))
        created["interaction"] = (await self._import_history(shift)).interactions
        await self._advance(len(copy.source.campaigns) + len(copy.redeemed))
        await self._promote()
        await self._publish()
        return created

    async def _advance(self, steps: int) -> None:
        self._processed += steps
        await self._run.report(self._processed, self._total)

    @property
    def _total(self) -> int:
        copy = self._copy
        rows = len(copy.customer_ids) + training_row_count(copy.source, copy.facts)
        return rows + len(copy.source.campaigns) + len(copy.redeemed)

    async def _shift(self) -> timedelta:
        """Return by how much dates move: what an earlier seeding has fixed, or else what today asks for."""
        anchor = self._copy.facts[0]
        reference = self._copy.ids.text("offer", anchor.key)
        async with self._entities.reading(self._copy.tenant_id) as reader:
            planted = (await reader.find("offer", [reference])).get(reference)
        if planted is not None:
            return date.fromisoformat(planted.body["customFields"]["campaign_start"]) - anchor.starts_on
        return shift_from(self._copy.source.last_day, self._now.date())

    async def _configure(self, shift: timedelta) -> dict[str, int]:
        """Store what is missing of the configuration, in one transaction with the tables of new schemas."""
        copy = self._copy
        try:
            async with self._database.transaction(copy.tenant_id) as connection:
                writer = PostgresSchemaWriter(connection, copy.tenant_id, self._actor)
                await writer.begin()
                await forget_deleted_entities(writer, copy.entity_ids)
                known = await _schemas(writer, copy)
                created = await plant(writer, _KINDS, self._caller, copy.ids, copy.definitions(shift))
                for key, schema in (await _schemas(writer, copy)).items():
                    if key not in known:
                        await writer.create_table(table_of(schema.body))
        except Conflict as error:
            message = f"the tenant has something of its own under a key or name of the pack: {error.message}"
            raise JobRefused("sample_data_conflict", message) from error
        return created

    async def _fill(self, schema_key: str, rows: Iterable[dict[str, Any]]) -> int:
        """Copy rows into a schema's table; those that are there stay as they are."""
        copy = self._copy
        async with self._entities.reading(copy.tenant_id) as reader:
            schema = (await _schemas(reader, copy))[schema_key]
        table = table_of(schema.body)
        columns = [column.name for column in table.columns]
        json = {column.name for column in table.columns if column.data_type == "json"}
        return await self._rows.copy_rows(copy.tenant_id, table, columns, _lines(rows, columns, json))

    async def _import_history(self, shift: timedelta) -> HistoryCounts:
        copy = self._copy
        past = contacts(copy.source, copy.facts, copy.redeemed, shift, copy.ids)
        async with self._database.transaction(copy.tenant_id) as connection:
            return await SampleHistory(connection, copy.tenant_id, COMPLETE_JOURNEY.key).load(past)

    async def _promote(self) -> None:
        """Make the trained model's definition champion of its family, unless somebody has moved it already."""
        copy = self._copy
        reference = copy.ids.text(ALGORITHM_MODEL.name, REDEMPTION_MODEL)
        for before, after in _TO_CHAMPION:
            async with self._entities.reading(copy.tenant_id) as reader:
                model = (await reader.find(ALGORITHM_MODEL.name, [reference]))[reference]
            if model.body["registryStatus"] != before:
                return
            request = PromotionRequest(to_status=after)
            async with self._entities.writing(copy.tenant_id, self._actor) as writer:
                await promoted(writer, reference, request, self._now, self._actor, NOTHING_KNOWN)

    async def _publish(self) -> None:
        """Store and publish the flow, the last step: whoever has the flow has the whole pack."""
        copy = self._copy
        planned = flow(copy.ids)
        reference = copy.ids.text(planned.kind, planned.key)
        async with self._database.transaction(copy.tenant_id) as connection:
            writer = PostgresFlowWriter(connection, copy.tenant_id, self._actor)
            await writer.begin()
            await plant(writer, _KINDS, self._caller, copy.ids, [planned])
            stored = (await writer.find(planned.kind, [reference]))[reference]
            if not stored.body["publishedVersions"]:
                await publish_draft(writer, stored, "Sample data")


async def _schemas(reader: EntityReader, copy: TenantCopy) -> dict[str, Entity]:
    """Return the pack's schemas that are there, by key."""
    references = {copy.ids.text(SCHEMA.name, key): key for key in (HOUSEHOLDS, REDEMPTIONS)}
    found = await reader.find(SCHEMA.name, list(references))
    return {references[reference]: schema for reference, schema in found.items()}


def _lines(rows: Iterable[dict[str, Any]], columns: Sequence[str], json: set[str]) -> Iterator[list[Any]]:
    """Yield the values of each row in the order of the columns; JSON goes as text."""
    for row in rows:
        yield [msgspec.json.encode(row[name]).decode() if name in json else row[name] for name in columns]
