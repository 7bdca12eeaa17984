"""Checks for drift in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.catalog.entities import Entity
from kaireon_application.governance.actor import Actor
from kaireon_application.learning.drift_check import DriftCheck, DriftFinding, SkippedFeature, drift_entry
from kaireon_application.platform.job import JobRun
from kaireon_core.learning.drift import Comparison, Verdict
from kaireon_storage.postgres.audit_logs import AuditAppender
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.jobs import hold_lease
from kaireon_storage.postgres.queries import queries


class PostgresDriftChecks:
    """Implements `DriftChecks`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("drift_checks")

    async def add(
        self, tenant_id: UUID, model: Entity, finding: DriftFinding, actor: Actor, run: JobRun | None = None
    ) -> DriftCheck:
        """Store a finding and note it in the audit log; in a job, only while its lease holds."""
        details = _Details(features=finding.features, score=finding.score, skipped=finding.skipped)
        async with self._database.transaction(tenant_id) as connection:
            if run is not None:
                await hold_lease(connection, run)
            row = await self._sql.insert_check(
                connection,
                tenant_id=tenant_id,
                id=uuid4(),
                model_id=model.id,
                version=finding.version,
                job_id=None if run is None else run.job.id,
                verdict=finding.verdict.value,
                drift_detected=finding.drift_detected,
                psi_score=finding.psi_score,
                ks_score=finding.ks_score,
                auc_delta=finding.auc_delta,
                details=Jsonb(msgspec.to_builtins(details)),
            )
            check = _check(row)
            await AuditAppender(connection, tenant_id, actor).append([drift_entry(model, check)])
        return check

    async def newest(self, tenant_id: UUID, model_id: UUID) -> DriftCheck | None:
        """Return the newest check of a model, or None."""
        found = await self.list(tenant_id, model_id, 1)
        return found[0] if found else None

    async def list(self, tenant_id: UUID, model_id: UUID, limit: int) -> list[DriftCheck]:
        """Return the newest checks of a model, newest first."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.newest_checks(connection, tenant_id=tenant_id, model_id=model_id, limit=limit)
            return [_check(row) async for row in rows]

    async def of_job(self, tenant_id: UUID, job_id: UUID) -> DriftCheck | None:
        """Return the check that a job has left, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.check_of_job(connection, tenant_id=tenant_id, job_id=job_id)
        return None if row is None else _check(row)


class _Details(msgspec.Struct, frozen=True, kw_only=True):
    """What one column holds of a check."""

    features: dict[str, Comparison]
    score: Comparison | None
    skipped: list[SkippedFeature]


def _check(row: Mapping[str, Any]) -> DriftCheck:
    details = msgspec.convert(row["details"], _Details)
    columns = {name: value for name, value in row.items() if name not in {"details", "verdict"}}
    return DriftCheck(**columns, verdict=Verdict(row["verdict"]), **msgspec.structs.asdict(details))
