"""The decision engine, opened for one job."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from kaireon_runtime.metrics import Metrics
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.decision_engine import DecisionEngine, build_decision_engine
from kaireon_storage.external.wiring import build_endpoint_scoring
from kaireon_storage.postgres.graphs import PostgresGraphs
from kaireon_worker.services import Services


@asynccontextmanager
async def opened_engine(services: Services, metrics: Metrics) -> AsyncGenerator[DecisionEngine]:
    """Return the engine; what goes on in the background is over when the block ends."""
    scoring = build_endpoint_scoring(services.settings, services.redis, metrics)
    graphs = PostgresGraphs(services.database)
    engine = build_decision_engine(services.database, services.redis, metrics, TreesLoader(), graphs, scoring)
    try:
        yield engine
    finally:
        await engine.drain()
        await scoring.close()
