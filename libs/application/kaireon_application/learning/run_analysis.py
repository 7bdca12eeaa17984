"""The job that analyses: the engine is chosen, the local one stands in where it can, and words may be added."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from kaireon_application.errors import MlWorkerNotConfigured, Unavailable
from kaireon_application.learning.analysis import (
    LOCAL_ROWS,
    Analysis,
    AnalysisPlan,
    Analyst,
    ContentPlan,
    PoliciesPlan,
    RowCounter,
    SegmentsPlan,
)
from kaireon_application.platform.job import JobRefused, JobRun, decode_payload
from kaireon_runtime.catalogue import ANALYSES
from kaireon_runtime.metrics import Metrics

JOB_TYPE = "analyze"
NOT_CONFIGURED = "ml_worker_not_configured"
FAILED = "ml_worker_failed"

_POLL_SECONDS = 0.5


class AnalyzePayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the job is about."""

    plan: SegmentsPlan | PoliciesPlan | ContentPlan


class NoSummary(Exception):
    """The language model gave no words; the text says why, and nothing that is secret."""


class Summarizer(Protocol):
    """Puts an analysis into words."""

    async def summarize(self, analysis: Analysis) -> str:
        """Return a few sentences. Raises `NoSummary` within a bounded time, whatever the other side does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAnalysis:
    """The use case. `ml_worker` and `summarizer` are None where the operator has configured none.

    Where no learners are installed, `has_learners` is false: policies alone are analysed here then.
    """

    counter: RowCounter
    local: Analyst
    has_learners: bool
    ml_worker: Analyst | None
    summarizer: Summarizer | None
    metrics: Metrics

    async def __call__(self, run: JobRun) -> dict[str, Any]:
        """Return the answer as JSON values.

        Raises an `Unprocessable` with the code of a refusal, `NotFound`, `Conflict`, `Unavailable`, `JobCancelled`;
        `JobRefused` where only an ML worker could answer, and there is none.
        """
        plan = msgspec.structs.replace(decode_payload(run, AnalyzePayload).plan, tenant_id=run.job.tenant_id)
        total = await self.counter.count(plan)
        work = asyncio.ensure_future(self._analyzed(plan, total))
        try:
            while not (await asyncio.wait({work}, timeout=_POLL_SECONDS))[0]:
                # Reporting is how a cancellation is noticed.
                await run.report(0, total)
            analysis = work.result()
        finally:
            work.cancel()
            await asyncio.wait({work})
        await run.report(analysis.sample_size, analysis.sample_size)
        kind = str(type(plan).__struct_config__.tag)
        self.metrics.add(ANALYSES, kind, analysis.engine, analysis.fallback_reason or "")
        return msgspec.to_builtins(analysis)

    async def _analyzed(self, plan: AnalysisPlan, total: int) -> Analysis:
        analysis = await self._by_engine(plan, total)
        if self.summarizer is None:
            return analysis
        try:
            return msgspec.structs.replace(analysis, summary=await self.summarizer.summarize(analysis))
        except NoSummary as reason:
            return msgspec.structs.replace(analysis, summary_error=str(reason))

    async def _by_engine(self, plan: AnalysisPlan, total: int) -> Analysis:
        is_able = self.has_learners or isinstance(plan, PoliciesPlan)
        if is_able and total <= LOCAL_ROWS:
            return await self.local.analyze(plan)
        reason = NOT_CONFIGURED
        if self.ml_worker is not None:
            try:
                return await self.ml_worker.analyze(plan)
            except Unavailable:
                if not is_able:
                    raise
                reason = FAILED
        if not is_able:
            message = f"{MlWorkerNotConfigured.__doc__}, and this analysis needs the ML worker"
            raise JobRefused(MlWorkerNotConfigured.code, message)
        return msgspec.structs.replace(await self.local.analyze(plan), fallback_reason=reason)
