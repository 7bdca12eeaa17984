"""`batch-jobs`: decide for many customers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaireon_application.customers.segment_members import segment_members
from kaireon_application.decisioning.decide_run import DecideRun
from kaireon_application.decisioning.decision_run import JOB_TYPE
from kaireon_application.platform.job import JobHandler, JobRun
from kaireon_runtime.metrics import Metrics
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.decision_engine import build_decision_engine
from kaireon_storage.external.wiring import build_endpoint_scoring
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.graphs import PostgresGraphs
from kaireon_storage.postgres.runs import PostgresRunProgress, ReadMembers
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows
from kaireon_worker.services import Services, open_services
from kaireon_worker.settings import Settings


def batch_handlers(settings: Settings, metrics: Metrics) -> Mapping[str, JobHandler]:
    """Return the handlers of this queue's job types."""

    async def decide(run: JobRun) -> dict[str, Any]:
        async with open_services(settings) as services:
            scoring = build_endpoint_scoring(settings, services.redis, metrics)
            engine = build_decision_engine(
                services.database,
                services.redis,
                metrics,
                TreesLoader(),
                PostgresGraphs(services.database),
                scoring,
                is_cache_filled=False,
                is_marked=bool(settings.external_stores),
            )
            decide_run = DecideRun(
                snapshots=engine.snapshots,
                plan=engine.plan,
                decide=engine.decide,
                progress=PostgresRunProgress(
                    services.database, engine.decisions, _members(services), engine.waker.hint
                ),
                metrics=metrics,
            )
            try:
                return await decide_run(run)
            finally:
                await engine.drain()
                await scoring.close()

    return {JOB_TYPE: decide}


def _members(services: Services) -> ReadMembers:
    entities, rows = PostgresEntities(services.database), PostgresSchemaRows(services.database)
    return lambda tenant_id, segment_id: segment_members(entities, rows, tenant_id, segment_id)
