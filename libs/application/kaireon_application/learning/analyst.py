"""The analyst of one process: reads a sample and works the answer out beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from kaireon_application.catalog.entities import Entities
from kaireon_application.learning.analysis import (
    Analysis,
    AnalysisPlan,
    ContentPlan,
    Engine,
    PoliciesPlan,
    SegmentsPlan,
)
from kaireon_application.learning.analysis_refusals import analysis_error
from kaireon_application.learning.content_analysis import (
    ContentAnalysis,
    CreativeSamples,
    LearnContent,
    find_terms,
)
from kaireon_application.learning.policy_analysis import (
    ContactSamples,
    PolicyAnalysis,
    contact_query,
    recommend_policies,
)
from kaireon_application.learning.segment_analysis import (
    ClusterLearner,
    SchemaSamples,
    SegmentAnalysis,
    find_clusters,
    segments_work,
)
from kaireon_core.learning.analysis import AnalysisRefused

Answer = TypeVar("Answer")


class AnalysisRows(SchemaSamples, ContactSamples, CreativeSamples, Protocol):
    """Everything that analyses read."""


class _Abandoned(Exception):
    """Nobody waits for the answer any more; told to a thread, which cannot be cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAnalyst:
    """Analyses at most `row_limit` rows with these learners; the same in every engine."""

    entities: Entities
    rows: AnalysisRows
    clusters: ClusterLearner
    learn_content: LearnContent
    engine: Engine
    row_limit: int

    async def count(self, plan: AnalysisPlan) -> int:
        """Return how many rows there are to analyse. Raises as `analyze` does."""
        match plan:
            case SegmentsPlan():
                work = await segments_work(self.entities, plan)
                return await self.rows.count(plan.tenant_id, work.table)
            case PoliciesPlan():
                return await self.rows.count_contacts(plan.tenant_id, contact_query(plan))
            case ContentPlan():
                return await self.rows.count_creatives(plan.tenant_id, plan.request.channel_id)

    async def analyze(self, plan: AnalysisPlan) -> Analysis:
        """Return the answer; leaving early stops the work at its next step.

        Raises an `Unprocessable` with the code of the refusal, `NotFound` for a thing that is gone, `Unavailable`.
        """
        try:
            match plan:
                case SegmentsPlan():
                    return await self._segments(plan)
                case PoliciesPlan():
                    return await self._policies(plan)
                case ContentPlan():
                    return await self._content(plan)
        except AnalysisRefused as refused:
            raise analysis_error(refused) from refused

    async def _segments(self, plan: SegmentsPlan) -> SegmentAnalysis:
        work = await segments_work(self.entities, plan)
        seed = plan.request.seed
        sample = await self.rows.sample(plan.tenant_id, work.table, work.fields, seed, self._limit(plan))
        return await _beside(lambda check: find_clusters(work, sample, plan, self.engine, self.clusters, check))

    async def _policies(self, plan: PoliciesPlan) -> PolicyAnalysis:
        query, seed = contact_query(plan), plan.request.seed
        sample = await self.rows.sample_contacts(plan.tenant_id, query, seed, self._limit(plan))
        return await _beside(lambda _: recommend_policies(sample, plan, self.engine))

    async def _content(self, plan: ContentPlan) -> ContentAnalysis:
        request = plan.request
        tenant_id: UUID = plan.tenant_id
        sample = await self.rows.sample_creatives(tenant_id, request.channel_id, request.seed, self._limit(plan))
        return await _beside(lambda _: find_terms(sample, plan, self.engine, self.learn_content))

    def _limit(self, plan: AnalysisPlan) -> int:
        return min(plan.request.sample_size or self.row_limit, self.row_limit)


async def _beside(work: Callable[[Callable[[], None]], Answer]) -> Answer:
    """Do the work in a thread; when nobody waits any more, it ends at its next check."""
    is_over = threading.Event()

    def check() -> None:
        if is_over.is_set():
            raise _Abandoned

    try:
        return await asyncio.to_thread(work, check)
    finally:
        is_over.set()
