"""The scheduled jobs over HTTP, for schedulers that can call but not run them: by CRON_SECRET."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from kaireon_api.operation import Call, Handler, Operation, Reply, Role
from kaireon_application.errors import KaireonError
from kaireon_application.platform.scheduled_job import JobOutcome
from kaireon_core.problems import Problem
from kaireon_runtime.catalogue import CRON_RUNS
from kaireon_storage.scheduled_jobs import JOBS, run_job

# Beside POST, which every job takes.
_ALSO_GET = frozenset({"cleanup"})


class CronRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run that succeeded; `skipped` when another run of the same job was under way, which then did the work."""

    ok: bool
    job: str
    skipped: bool
    tick_at: datetime
    counts: dict[str, int]


class CronJobFailed(KaireonError):
    """A scheduled job failed, in part at least; what it did before stays done."""

    code = "CRON_JOB_FAILED"


def _handler(name: str) -> Handler:
    async def run(call: Call[Any]) -> Reply:
        tick_at = datetime.now(UTC)
        outcome = await run_job(name, call.services.database, call.services.settings)
        call.services.metrics.add(CRON_RUNS, name, _status(outcome))
        if outcome.failures:
            raise CronJobFailed.of(Problem(path=name, message=failure) for failure in outcome.failures)
        answer = CronRun(ok=True, job=name, skipped=outcome.is_skipped, tick_at=tick_at, counts=outcome.counts)
        return Reply(content=answer)

    return run


def _status(outcome: JobOutcome) -> str:
    if outcome.failures:
        return "failed"
    return "skipped" if outcome.is_skipped else "succeeded"


OPERATIONS: tuple[Operation, ...] = tuple(
    Operation(
        method=method,
        path=f"/api/v1/cron/{name}",
        role=Role.CRON,
        handler=_handler(name),
        summary=f"Run the scheduled job {name} now, unless it is running",
        answers={200: CronRun, 401: None, 503: None},
    )
    for name in sorted(JOBS)
    for method in ("POST", *(["GET"] if name in _ALSO_GET else []))
)
