"""Asking for an analysis: checked here, worked out by a worker, and answered at once when that does not take long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities
from kaireon_application.errors import Conflict, NotFound, Unavailable
from kaireon_application.learning.analysis import (
    AnalysisPlan,
    ContentPlan,
    ContentRequest,
    PoliciesPlan,
    PoliciesRequest,
    SegmentsPlan,
    SegmentsRequest,
)
from kaireon_application.learning.analysis_refusals import refused_as
from kaireon_application.learning.policy_analysis import checked_scope
from kaireon_application.learning.run_analysis import JOB_TYPE, AnalyzePayload
from kaireon_application.learning.segment_analysis import segments_work
from kaireon_application.platform.job import JobStatus, Queue
from kaireon_application.platform.jobs import JobRecord, Jobs, NewJob

# Whoever asks is answered at once for so long; a job that no worker has begun by then is not waited for.
WAIT_SECONDS = 25.0
_BEGIN_SECONDS = 2.0
_FIRST_POLL_SECONDS = 0.05
_LAST_POLL_SECONDS = 0.5


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """The answer will be in this job's result."""

    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAnalysis:
    """The use case."""

    entities: Entities
    jobs: Jobs

    async def segments(self, tenant_id: UUID, request: SegmentsRequest, at: datetime) -> dict[str, Any] | Pending:
        """Ask for auto-segmentation.

        Raises `NotFound` for an unknown schema, `UnknownField` and `NoFields` for fields that cannot be compared, and
        what `_answered` raises.
        """
        plan = SegmentsPlan(tenant_id=tenant_id, at=at, request=request)
        await segments_work(self.entities, plan)
        return await self._answered(plan)

    async def policies(self, tenant_id: UUID, request: PoliciesRequest, at: datetime) -> dict[str, Any] | Pending:
        """Ask for contact policies. Raises `InvalidInput` and `NotFound` for a bad scope, and what `_answered` does."""
        checked = await checked_scope(self.entities, tenant_id, request)
        return await self._answered(PoliciesPlan(tenant_id=tenant_id, at=at, request=checked))

    async def content(self, tenant_id: UUID, request: ContentRequest, at: datetime) -> dict[str, Any] | Pending:
        """Ask what goes with success. Raises `NotFound` for an unknown channel, and what `_answered` does."""
        if request.channel_id is not None:
            async with self.entities.reading(tenant_id) as reader:
                found = (await reader.find("channel", [request.channel_id])).get(request.channel_id)
            if found is None:
                message = f"there is no channel {request.channel_id!r} in this tenant"
                raise NotFound.reference("$.channelId", message)
            request = msgspec.structs.replace(request, channel_id=str(found.id))
        return await self._answered(ContentPlan(tenant_id=tenant_id, at=at, request=request))

    async def _answered(self, plan: AnalysisPlan) -> dict[str, Any] | Pending:
        """Return the answer, or its job when that takes longer.

        Raises an `Unprocessable` with the code of a refusal, `NotFound` or `Conflict` for what changed meanwhile,
        `Unavailable` where it needs an ML worker and there is none.
        """
        payload = msgspec.to_builtins(AnalyzePayload(plan=plan))
        job_id = await self.jobs.enqueue(plan.tenant_id, NewJob(queue=Queue.BATCH, type=JOB_TYPE, payload=payload))
        if plan.request.is_async:
            return Pending(job_id=job_id)
        record = await self._ended(plan.tenant_id, job_id)
        return Pending(job_id=job_id) if record is None else _result(record)

    async def _ended(self, tenant_id: UUID, job_id: UUID) -> JobRecord | None:
        """Return the job once it is over, None when it is not worth waiting for."""
        clock = asyncio.get_running_loop().time
        begun, pause = clock(), _FIRST_POLL_SECONDS
        while (waited := clock() - begun) < WAIT_SECONDS:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LAST_POLL_SECONDS)
            record = await self.jobs.get(tenant_id, job_id)
            if record.status not in (JobStatus.QUEUED, JobStatus.RUNNING):
                return record
            is_tried = record.status is JobStatus.QUEUED and record.attempts > 0
            if is_tried or (record.status is JobStatus.QUEUED and waited > _BEGIN_SECONDS):
                return None
        return None


def _result(record: JobRecord) -> dict[str, Any]:
    if record.status is JobStatus.COMPLETED:
        return record.result
    if record.status is JobStatus.CANCELLED:
        raise Conflict("the analysis was cancelled")
    code, message = str(record.error["code"]), str(record.error["message"])
    if record.status is JobStatus.DEAD:
        raise Unavailable(message)
    verdict = {"NOT_FOUND": NotFound, "CONFLICT": Conflict, "UNAVAILABLE": Unavailable}.get(code)
    raise refused_as(code, message) if verdict is None else verdict(message)
