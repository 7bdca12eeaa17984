"""Behavioural events, journeys and triggers of one process, wired."""

from __future__ import annotations

from dataclasses import dataclass

from kaireon_api.decisioning.engine import Engine
from kaireon_application.engagement.record_events import RecordEvents
from kaireon_application.platform.jobs import Jobs
from kaireon_runtime.metrics import Metrics
from kaireon_storage.decision_engine import now_ms
from kaireon_storage.postgres.behavioral_events import PostgresEvents
from kaireon_storage.postgres.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """What these operations need."""

    record_events: RecordEvents


def build_engagement(database: Database, engine: Engine, jobs: Jobs, metrics: Metrics) -> Engagement:
    """Return it, unconnected."""
    record_events = RecordEvents(
        snapshots=engine.snapshots,
        store=PostgresEvents(database),
        cache=engine.cache,
        jobs=jobs,
        metrics=metrics,
        now_ms=now_ms,
    )
    return Engagement(record_events=record_events)
