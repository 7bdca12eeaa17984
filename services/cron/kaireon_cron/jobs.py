"""The jobs of this release, one function each: do the work once, return what is to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TypeAlias

import msgspec

from kaireon_application.errors import KaireonError
from kaireon_application.experimentation.auto_promote import Verdict, auto_promote
from kaireon_application.platform.cleanup import clean_up
from kaireon_application.platform.outbox_reaper import reap_outbox
from kaireon_cron.settings import JobSettings
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.experiments import PostgresExperimentOutcomes
from kaireon_storage.postgres.flows import PostgresFlows
from kaireon_storage.postgres.outbox import PostgresOutbox
from kaireon_storage.postgres.retention import PostgresRetention


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did, by name, and what of it failed."""

    counts: dict[str, int]
    failures: tuple[str, ...] = ()


Job: TypeAlias = Callable[[Database, JobSettings], Awaitable[JobOutcome]]


async def cleanup(database: Database, _settings: JobSettings) -> JobOutcome:
    """Remove what has had its time; ensure the partitions of the months to come."""
    report = await clean_up(PostgresRetention(database), datetime.now(UTC))
    return JobOutcome(counts=report.counts, failures=report.failures)


async def outbox_reaper(database: Database, settings: JobSettings) -> JobOutcome:
    """Free events that stand in status `processing`."""
    stuck_after = timedelta(minutes=settings.outbox_reaper_after_minutes)
    count = await reap_outbox(PostgresOutbox(database), datetime.now(UTC), stuck_after)
    return JobOutcome(counts={"releasedEvents": count})


async def scheduled_retrains(database: Database, _settings: JobSettings) -> JobOutcome:
    """Promote the challengers that have won their experiments."""
    now = datetime.now(UTC)
    entities, flows = PostgresEntities(database), PostgresFlows(database)
    outcomes, verdicts, failures = PostgresExperimentOutcomes(database), Counter[Verdict](), list[str]()
    for tenant in await PostgresRetention(database).tenants():
        try:
            found = await auto_promote(entities, flows, outcomes, tenant.tenant_id, now)
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


JOBS: Mapping[str, Job] = MappingProxyType(
    {
        "cleanup": cleanup,
        "outbox-reaper": outbox_reaper,
        "scheduled-retrains": scheduled_retrains,
    }
)
