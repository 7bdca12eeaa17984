"""Where the tests have analyses done: jobs that the worker's handler runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.learning.analysis import (
    AnalysisPlan,
    ContentPlan,
    ContentRequest,
    PoliciesPlan,
    PoliciesRequest,
    SegmentsPlan,
    SegmentsRequest,
)
from kaireon_application.learning.run_analysis import JOB_TYPE, AnalyzePayload
from kaireon_application.platform.job import JobStatus, Queue
from kaireon_application.platform.job_runner import JobRunner
from kaireon_application.platform.jobs import JobRecord, Jobs, NewJob
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.jobs import PostgresJobBook, PostgresJobStore
from kaireon_worker.analyses import analysis_handlers
from kaireon_worker.settings import Settings
from tests.ml_worker.conftest import _at_once, _Nobody

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Silent:
    """A broker is not needed: the tests run their jobs themselves."""

    async def announce(self, summons: Any) -> bool:
        return True

    async def backlog_count(self, queue: str) -> int | None:
        return None


class Desk:
    """Asks for analyses and has the worker's handler do them."""

    def __init__(self, database: Database, database_url: str, tenant_id: UUID) -> None:
        self.database = database
        self.tenant_id = tenant_id
        self._url = database_url
        self._jobs = Jobs(PostgresJobBook(database), Silent())
        self.metrics = Metrics()

    async def run(self, plan: AnalysisPlan, **settings: Any) -> JobRecord:
        """Run one analysis by a worker with these settings."""
        payload = msgspec.to_builtins(AnalyzePayload(plan=plan))
        job_id = await self._jobs.enqueue(self.tenant_id, NewJob(queue=Queue.BATCH, type=JOB_TYPE, payload=payload))
        return await self.look(job_id, **settings)

    async def look(self, job_id: UUID, **settings: Any) -> JobRecord:
        """Have a worker with these settings look at a job."""
        given = Settings.model_validate({"database_url": self._url, **settings})
        handlers = analysis_handlers(given, self.metrics)
        runner = JobRunner(PostgresJobStore(self.database), handlers, _Nobody(), _at_once)
        await runner.run(self.tenant_id, job_id)
        return await self._jobs.get(self.tenant_id, job_id)

    async def answer(self, plan: AnalysisPlan, **settings: Any) -> dict[str, Any]:
        """Return the answer of a job that must complete."""
        record = await self.run(plan, **settings)
        assert (record.status, record.error) == (JobStatus.COMPLETED, None)
        return record.result

    def segments(self, **request: Any) -> SegmentsPlan:
        given = msgspec.structs.replace(SegmentsRequest(schema_key="people", max_clusters=4), **request)
        return SegmentsPlan(tenant_id=self.tenant_id, at=NOW, request=given)

    def policies(self, **request: Any) -> PoliciesPlan:
        return PoliciesPlan(tenant_id=self.tenant_id, at=NOW, request=PoliciesRequest(**request))

    def content(self, **request: Any) -> ContentPlan:
        return ContentPlan(tenant_id=self.tenant_id, at=NOW, request=ContentRequest(**request))
