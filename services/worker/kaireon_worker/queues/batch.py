"""`batch-jobs`: decide for many customers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from kaireon_application.customers.segment_members import segment_members
from kaireon_application.decisioning.decide_run import DecideRun
from kaireon_application.decisioning.decision_run import HELP_TYPE, JOB_TYPE
from kaireon_application.platform.job import JobHandler, JobRun
from kaireon_runtime.metrics import Metrics
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.decision_engine import build_decision_engine
from kaireon_storage.external.wiring import build_endpoint_scoring
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.graphs import PostgresGraphs
from kaireon_storage.postgres.jobs import hold_lease
from kaireon_storage.postgres.run_helpers import hold_helper
from kaireon_storage.postgres.runs import HoldLease, PostgresRunProgress, ReadMembers
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows
from kaireon_worker.services import Services, open_services
from kaireon_worker.settings import Settings


def batch_handlers(settings: Settings, metrics: Metrics) -> Mapping[str, JobHandler]:
    """Return the handlers of this queue's job types."""

    async def decide(run: JobRun) -> dict[str, Any]:
        async with _opened(settings, metrics, hold_lease) as decide_run:
            return await decide_run(run)

    async def help_run(run: JobRun) -> dict[str, Any]:
        async with _opened(settings, metrics, hold_helper) as decide_run:
            return await decide_run.help(run)

    return {JOB_TYPE: decide, HELP_TYPE: help_run}


@asynccontextmanager
async def _opened(settings: Settings, metrics: Metrics, hold: HoldLease) -> AsyncGenerator[DecideRun]:
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
        members = _members(services)
        try:
            yield DecideRun(
                snapshots=engine.snapshots,
                plan=engine.plan,
                decide=engine.decide,
                progress=PostgresRunProgress(services.database, engine.decisions, members, engine.waker.hint, hold),
                metrics=metrics,
            )
        finally:
            await engine.drain()
            await scoring.close()


def _members(services: Services) -> ReadMembers:
    entities, rows = PostgresEntities(services.database), PostgresSchemaRows(services.database)
    return lambda tenant_id, segment_id: segment_members(entities, rows, tenant_id, segment_id)
