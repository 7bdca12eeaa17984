"""Behavioural events, journeys and triggers of one process, wired."""

from __future__ import annotations

from dataclasses import dataclass

from kaireon_api.decisioning.engine import Engine
from kaireon_application.engagement.decide_in_journey import TrialDecision
from kaireon_application.engagement.enroll import Enroll
from kaireon_application.engagement.journey_facts import JourneyFacts
from kaireon_application.engagement.journey_steps import JourneySteps
from kaireon_application.engagement.record_events import RecordEvents
from kaireon_application.engagement.try_journey import TryJourney
from kaireon_application.platform.jobs import Jobs
from kaireon_runtime.metrics import Metrics
from kaireon_storage.decision_engine import now_ms
from kaireon_storage.postgres.behavioral_events import PostgresEvents
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.journeys import PostgresEnrollments
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows
from kaireon_storage.postgres.triggers import PostgresFirings


@dataclass(frozen=True, slots=True, kw_only=True)
class Engagement:
    """What these operations need."""

    record_events: RecordEvents
    enroll: Enroll
    enrollments: PostgresEnrollments
    firings: PostgresFirings
    try_journey: TryJourney


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
    entities, enrollments = PostgresEntities(database), PostgresEnrollments(database)
    steps = JourneySteps(
        facts=JourneyFacts(rows=PostgresSchemaRows(database)), decide=TrialDecision(recommend=engine.recommend)
    )
    return Engagement(
        record_events=record_events,
        enroll=Enroll(entities=entities, shelf=enrollments, jobs=jobs, now_ms=now_ms),
        enrollments=enrollments,
        firings=PostgresFirings(database),
        try_journey=TryJourney(snapshots=engine.snapshots, entities=entities, steps=steps),
    )
