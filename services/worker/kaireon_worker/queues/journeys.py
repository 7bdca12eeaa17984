"""`journey-jobs`: advance enrolments, enrol segments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kaireon_application.customers.segment_members import segment_members
from kaireon_application.engagement.advance_journeys import AdvanceJourneys
from kaireon_application.engagement.decide_in_journey import DraftDecision
from kaireon_application.engagement.enroll import Enroll
from kaireon_application.engagement.enroll_segment import EnrollSegment
from kaireon_application.engagement.enrollment import ADVANCE_JOB, ENROLL_SEGMENT_JOB
from kaireon_application.engagement.journey_facts import JourneyFacts
from kaireon_application.engagement.journey_steps import JourneySteps
from kaireon_application.platform.job import JobHandler, JobRun
from kaireon_application.platform.jobs import Jobs
from kaireon_runtime.metrics import Metrics
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.decision_engine import now_ms
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_storage.postgres.journeys import PostgresEnrollments, PostgresJourneys
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows
from kaireon_worker.engine import opened_engine
from kaireon_worker.services import Services, open_services
from kaireon_worker.settings import Settings


def journey_handlers(settings: Settings, metrics: Metrics) -> Mapping[str, JobHandler]:
    """Return the handlers of this queue's job types."""

    async def advance(run: JobRun) -> dict[str, Any]:
        async with open_services(settings) as services, opened_engine(services, metrics) as engine:
            advance_journeys = AdvanceJourneys(
                snapshots=engine.snapshots,
                entities=PostgresEntities(services.database),
                store=PostgresJourneys(services.database, engine.decisions),
                steps=JourneySteps(
                    facts=JourneyFacts(rows=PostgresSchemaRows(services.database)),
                    decide=DraftDecision(plan=engine.plan, decide=engine.decide),
                ),
                decide=engine.decide,
                metrics=metrics,
            )
            result = await advance_journeys(run)
            engine.waker.hint()
            return result

    async def enroll(run: JobRun) -> dict[str, Any]:
        announcer = BrokerAnnouncer(parse_broker_url(settings.broker_url))
        try:
            async with open_services(settings) as services:
                return await EnrollSegment(enroll=_enroll(services, announcer), members=_members(services))(run)
        finally:
            await announcer.close()

    return {ADVANCE_JOB: advance, ENROLL_SEGMENT_JOB: enroll}


def _enroll(services: Services, announcer: BrokerAnnouncer) -> Enroll:
    return Enroll(
        entities=PostgresEntities(services.database),
        shelf=PostgresEnrollments(services.database),
        jobs=Jobs(PostgresJobBook(services.database), announcer),
        now_ms=now_ms,
    )


def _members(services: Services) -> Any:
    return partial(segment_members, PostgresEntities(services.database), PostgresSchemaRows(services.database))
