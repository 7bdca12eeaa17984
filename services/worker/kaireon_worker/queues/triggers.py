"""`journey-jobs` too: do what triggers are for, and let them know of the platform's own facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaireon_application.engagement.fact import REACT_JOB
from kaireon_application.engagement.perform_action import ACTION_JOB, PerformAction
from kaireon_application.engagement.react_to_facts import ReactToFacts
from kaireon_application.engagement.record_events import RecordEvents
from kaireon_application.platform.job import JobHandler, JobRun
from kaireon_application.platform.jobs import Jobs
from kaireon_runtime.metrics import Metrics
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.decision_engine import DecisionEngine, now_ms
from kaireon_storage.external.wiring import build_secrets
from kaireon_storage.outbound.webhook import WebhookPost
from kaireon_storage.postgres.behavioral_events import PostgresEvents
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_storage.postgres.journeys import PostgresEnrollments
from kaireon_storage.postgres.triggers import PostgresAttributes
from kaireon_storage.redis.customer_cache import RedisCustomerCache
from kaireon_worker.engine import opened_engine
from kaireon_worker.services import Services, open_services
from kaireon_worker.settings import Settings


def trigger_handlers(settings: Settings, metrics: Metrics) -> Mapping[str, JobHandler]:
    """Return the handlers of these job types."""

    async def act(run: JobRun) -> dict[str, Any]:
        async with open_services(settings) as services, opened_engine(services, metrics) as engine:
            result = await _perform_action(services, engine, metrics)(run)
            engine.waker.hint()
            return result

    async def react(run: JobRun) -> dict[str, Any]:
        announcer = BrokerAnnouncer(parse_broker_url(settings.broker_url))
        try:
            async with open_services(settings) as services, opened_engine(services, metrics) as engine:
                record = RecordEvents(
                    snapshots=engine.snapshots,
                    store=PostgresEvents(services.database),
                    cache=engine.cache,
                    jobs=Jobs(PostgresJobBook(services.database), announcer),
                    metrics=metrics,
                    now_ms=now_ms,
                )
                return await ReactToFacts(snapshots=engine.snapshots, record=record)(run)
        finally:
            await announcer.close()

    return {ACTION_JOB: act, REACT_JOB: react}


def _perform_action(services: Services, engine: DecisionEngine, metrics: Metrics) -> PerformAction:
    settings = services.settings
    signing = settings.webhook_signing_secret
    return PerformAction(
        entities=PostgresEntities(services.database),
        shelf=PostgresEnrollments(services.database),
        plan=engine.plan,
        decide=engine.decide,
        commit=engine.decisions.commit_decisions,
        hold=engine.decisions.hold_customer,
        send=WebhookPost(
            settings.allow_list, build_secrets(settings), None if signing is None else signing.get_secret_value()
        ),
        attributes=PostgresAttributes(services.database),
        cache=RedisCustomerCache(services.redis, metrics),
        metrics=metrics,
        now_ms=now_ms,
    )
