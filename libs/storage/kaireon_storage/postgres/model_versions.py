"""Trained versions of models in Postgres."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.catalog.read_entity import require
from kaireon_application.errors import InvalidInput, NotFound
from kaireon_application.governance.actor import Actor, of_job
from kaireon_application.governance.audit_log import AuditAction
from kaireon_application.learning.algorithm_model import KIND
from kaireon_application.learning.model_source import current_state
from kaireon_application.learning.reset_learning import forgotten
from kaireon_application.learning.training import TrainedModel
from kaireon_application.learning.versions import ModelVersion, VersionSummary, with_version
from kaireon_application.platform.job import JobRun
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntityWriter
from kaireon_storage.postgres.jobs import hold_lease
from kaireon_storage.postgres.queries import queries


class PostgresModelVersions:
    """The port to trained versions, over a pool of connections."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("model_versions")

    async def newest(self, tenant_id: UUID, model_ids: Collection[UUID]) -> dict[UUID, ModelVersion]:
        """Return the newest version of each of these models; a model that was never trained is absent."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.newest_versions(connection, tenant_id=tenant_id, model_ids=list(model_ids))
            versions = [ModelVersion(**row) async for row in rows]
        return {version.model_id: version for version in versions}

    async def get(self, tenant_id: UUID, model_id: UUID, version: int) -> ModelVersion | None:
        """Return one version, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_version(connection, tenant_id=tenant_id, model_id=model_id, version=version)
        return None if row is None else ModelVersion(**row)

    async def list(self, tenant_id: UUID, model_id: UUID) -> list[VersionSummary]:
        """Return all versions, newest first."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.list_versions(connection, tenant_id=tenant_id, model_id=model_id)
            return [VersionSummary(**row) async for row in rows]

    async def of_job(self, tenant_id: UUID, model_id: UUID, job_id: UUID) -> VersionSummary | None:
        """Return the version that a job has left, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.version_of_job(connection, tenant_id=tenant_id, model_id=model_id, job_id=str(job_id))
        return _summary(row)

    async def add(self, run: JobRun, model_id: UUID, trained: TrainedModel) -> VersionSummary:
        """Store a new version and write its numbers on the model, while the job's lease holds.

        Raises `LeaseLost`, and `NotFound` when the model was deleted meanwhile.
        """
        tenant_id = run.job.tenant_id
        async with self._database.transaction(tenant_id) as connection:
            await hold_lease(connection, run)
            writer = PostgresEntityWriter(connection, tenant_id, of_job(run.job.id))
            await writer.begin()
            model = await require(writer, KIND, str(model_id))
            row = await self._sql.insert_version(
                connection,
                tenant_id=tenant_id,
                model_id=model_id,
                model_type=model.body["modelType"],
                state=Jsonb(trained.state),
                metrics=Jsonb(trained.metrics),
                training=Jsonb({**trained.training, "jobId": str(run.job.id)}),
            )
            version = VersionSummary(**row)
            trained_model = msgspec.structs.replace(model, body=with_version(model.body, version, trained))
            await writer.update(trained_model, AuditAction.TRAIN)
        return version

    async def reset(self, tenant_id: UUID, model_id: UUID, learned: Mapping[str, Any] | None, actor: Actor) -> None:
        """Keep what a model has learnt as a version, `learned` or else its current state, and make it a new draft.

        Raises `NotFound` when the model was deleted meanwhile.
        """
        async with self._database.transaction(tenant_id) as connection:
            writer = PostgresEntityWriter(connection, tenant_id, actor)
            await writer.begin()
            model = await require(writer, KIND, str(model_id))
            rows = self._sql.newest_versions(connection, tenant_id=tenant_id, model_ids=[model_id])
            newest = next(iter([ModelVersion(**row) async for row in rows]), None)
            state = learned or current_state(model.body, newest.state if newest else None)
            version = newest.version if newest else 0
            if state:
                row = await self._sql.insert_version(
                    connection,
                    tenant_id=tenant_id,
                    model_id=model_id,
                    model_type=model.body["modelType"],
                    state=Jsonb(dict(state)),
                    metrics=Jsonb(model.body.get("metrics") or {}),
                    training=Jsonb({"source": "reset_learning"}),
                )
                version = int(row["version"])
            fresh = msgspec.structs.replace(model, status="draft", body=forgotten(model.body, version))
            await writer.update(fresh, AuditAction.RESET_LEARNING)


class ModelOwners:
    """Finds whose model is meant, for an internal service that is not told by an API key."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("model_versions")

    async def owner(self, model_key: str, tenant: str | None) -> UUID:
        """Return the tenant that has this model; `tenant`, its id or key, may be left out where only one has it.

        Raises `NotFound` when nobody has it, `InvalidInput` when several have.
        """
        async with self._database.system_transaction() as connection:
            rows = self._sql.owners_of_model(connection, model_key=model_key, tenant=tenant)
            owners = [UUID(str(row["tenant_id"])) async for row in rows]
        if not owners:
            raise NotFound(f"no algorithm model {model_key!r}" + (f" in tenant {tenant!r}" if tenant else ""))
        if len(owners) > 1:
            raise InvalidInput.at("$.tenantId", f"several tenants have a model {model_key!r}; name one")
        return owners[0]


def _summary(row: Mapping[str, Any] | None) -> VersionSummary | None:
    return None if row is None else VersionSummary(**row)
