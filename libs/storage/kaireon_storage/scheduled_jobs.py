"""The scheduled jobs of this release, wired once for every tier that runs them: one function each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TypeAlias

from kaireon_application.customers.engagement_health import recompute_engagement
from kaireon_application.decisioning.check_caps import check_caps
from kaireon_application.decisioning.count_for_dashboards import count_for_dashboards
from kaireon_application.engagement.journey_tick import tick_journeys
from kaireon_application.engagement.trigger_run import start_due_runs
from kaireon_application.errors import KaireonError
from kaireon_application.experimentation.auto_promote import AutoPromote, Verdict
from kaireon_application.governance.gitops import check_drift
from kaireon_application.learning.evidence import EvidenceSources
from kaireon_application.learning.scheduled_retrains import queue_scheduled_retrains
from kaireon_application.platform.cleanup import clean_up
from kaireon_application.platform.jobs import Jobs, JobSummons
from kaireon_application.platform.outbox_reaper import reap_outbox
from kaireon_application.platform.scheduled_job import JobOutcome, run_alone
from kaireon_runtime.logs import logger
from kaireon_runtime.settings import ScheduledJobSettings
from kaireon_storage.postgres.approvals import PostgresApprovals
from kaireon_storage.postgres.cap_checks import PostgresCapChecks
from kaireon_storage.postgres.dashboard_counts import PostgresDashboardCounts
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.drift_checks import PostgresDriftChecks
from kaireon_storage.postgres.engagement_health import PostgresEngagementHealth
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.experiments import PostgresExperimentOutcomes
from kaireon_storage.postgres.flows import PostgresFlows
from kaireon_storage.postgres.gitops import PostgresGitOps
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_storage.postgres.journeys import PostgresJourneyTick
from kaireon_storage.postgres.off_policy import PostgresOffPolicyEvaluations
from kaireon_storage.postgres.outbox import PostgresOutbox
from kaireon_storage.postgres.retention import PostgresRetention
from kaireon_storage.postgres.runs import PostgresRuns
from kaireon_storage.postgres.schedule_leases import PostgresScheduleLeases
from kaireon_storage.postgres.tenants import PostgresTenants

Job: TypeAlias = Callable[[Database, ScheduledJobSettings], Awaitable[JobOutcome]]


async def cleanup(database: Database, settings: ScheduledJobSettings) -> JobOutcome:
    """Remove what has had its time; ensure the partitions of the months to come."""
    report = await clean_up(PostgresRetention(database, has_publisher=settings.has_publisher), datetime.now(UTC))
    return JobOutcome(counts=report.counts, failures=report.failures)


async def approvals_expire(database: Database, _settings: ScheduledJobSettings) -> JobOutcome:
    """Close requests that were neither decided nor published in time."""
    return JobOutcome(counts={"expiredApprovals": await PostgresApprovals(database).expire(datetime.now(UTC))})


async def flow_scheduler_tick(database: Database, _settings: ScheduledJobSettings) -> JobOutcome:
    """Queue jobs for the enrolments and campaigns whose turn has come, which a worker finds by itself.

    Then count what has come in since, for dashboards, and check whether what was answered kept to the caps.
    """
    journeys = await tick_journeys(PostgresJourneyTick(database))
    tenants = await PostgresTenants(database).config_versions()
    now = datetime.now(UTC)
    runs = await start_due_runs(PostgresEntities(database), PostgresRuns(database), tenants, now)
    slices, uncounted = await count_for_dashboards(PostgresDashboardCounts(database), list(tenants), time.monotonic)
    log = logger("kaireon.caps")
    violations, unchecked = await check_caps(PostgresCapChecks(database), list(tenants), now, time.monotonic, log)
    return JobOutcome(
        counts={**journeys, **runs.counts, "countedSlices": slices, "capViolations": violations},
        failures=(*runs.failures, *uncounted, *unchecked),
    )


async def engagement_health_recompute(database: Database, _settings: ScheduledJobSettings) -> JobOutcome:
    """Work out how engaged every customer is."""
    count, failures = await recompute_engagement(PostgresEngagementHealth(database), datetime.now(UTC))
    return JobOutcome(counts={"customers": count}, failures=failures)


async def gitops_drift_check(database: Database, _settings: ScheduledJobSettings) -> JobOutcome:
    """Note in the audit log what is not as it was applied."""
    count, failures = await check_drift(PostgresGitOps(database), datetime.now(UTC))
    return JobOutcome(counts={"drifted": count}, failures=failures)


async def outbox_reaper(database: Database, settings: ScheduledJobSettings) -> JobOutcome:
    """Free events that stand in status `processing`."""
    stuck_after = timedelta(minutes=settings.outbox_reaper_after_minutes)
    count = await reap_outbox(PostgresOutbox(database), datetime.now(UTC), stuck_after)
    return JobOutcome(counts={"releasedEvents": count})


async def scheduled_retrains(database: Database, settings: ScheduledJobSettings) -> JobOutcome:
    """Queue the trainings that are due, which a worker finds by itself; promote challengers that have won."""
    now = datetime.now(UTC)
    trainings, promotions = await _trainings(database, settings, now), await _promoted(database, now)
    return JobOutcome(
        counts={**trainings.counts, **promotions.counts}, failures=(*trainings.failures, *promotions.failures)
    )


async def _trainings(database: Database, settings: ScheduledJobSettings, now: datetime) -> JobOutcome:
    report = await queue_scheduled_retrains(
        PostgresEntities(database),
        Jobs(PostgresJobBook(database), _NoBroker()),
        await PostgresTenants(database).config_versions(),
        now,
        has_ml_worker=settings.ml_worker_url is not None,
    )
    return JobOutcome(counts=report.counts, failures=report.failures)


async def _promoted(database: Database, now: datetime) -> JobOutcome:
    auto_promote = AutoPromote(
        entities=PostgresEntities(database),
        flows=PostgresFlows(database),
        outcomes=PostgresExperimentOutcomes(database),
        evidence=EvidenceSources(
            evaluations=PostgresOffPolicyEvaluations(database), drift_checks=PostgresDriftChecks(database)
        ),
    )
    verdicts, failures = Counter[Verdict](), list[str]()
    for tenant in await PostgresRetention(database).tenants():
        try:
            found = await auto_promote(tenant.tenant_id, now)
        except KaireonError as error:
            failures.append(f"tenant {tenant.tenant_id}: {error.message}")
            continue
        verdicts.update(one.verdict for one in found)
    counts = {
        "promotedModels": verdicts[Verdict.PROMOTED],
        "refusedPromotions": verdicts[Verdict.REFUSED],
        "waitingExperiments": verdicts[Verdict.WAITING],
    }
    return JobOutcome(counts=counts, failures=tuple(failures))


class _NoBroker:
    """Stands where the broker would be: a cron job knows the database only."""

    async def announce(self, summons: JobSummons) -> bool:  # noqa: ARG002 - a port
        return False

    async def backlog_count(self, queue: str) -> int | None:  # noqa: ARG002 - a port
        return None


JOBS: Mapping[str, Job] = MappingProxyType(
    {
        "cleanup": cleanup,
        "approvals-expire": approvals_expire,
        "engagement-health-recompute": engagement_health_recompute,
        "gitops-drift-check": gitops_drift_check,
        "flow-scheduler-tick": flow_scheduler_tick,
        "outbox-reaper": outbox_reaper,
        "scheduled-retrains": scheduled_retrains,
    }
)


async def run_job(name: str, database: Database, settings: ScheduledJobSettings) -> JobOutcome:
    """Run one of `JOBS` once, alone; skipped when another run of it is under way. Raises `KaireonError`."""
    return await run_alone(PostgresScheduleLeases(database), name, lambda: JOBS[name](database, settings))
