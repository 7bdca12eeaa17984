"""A journey's decision: planned, loaded and made as /recommend does; committed with the journey's step."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kaireon_application.decisioning.answer import build_answer
from kaireon_application.decisioning.asked import Asked
from kaireon_application.decisioning.decide_together import DecideTogether
from kaireon_application.decisioning.fetch_scores import Attempt
from kaireon_application.decisioning.plan_decision import PlanDecision
from kaireon_application.decisioning.recommend import Recommend
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_application.engagement.journey_steps import Decided


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftDecision:
    """Implements `Decide` for a worker: the decision is drafted, its step commits it."""

    plan: PlanDecision
    decide: DecideTogether

    async def __call__(self, snapshot: TenantSnapshot, request: RecommendRequest) -> Decided:
        """Return the decision with what there is to commit."""
        planned, live = await self.plan(snapshot.configuration.tenant_id, request.flow_key, request.routing)
        asked = Asked(
            snapshot=planned,
            live=live,
            request=request,
            customer_id=request.customer_id,
            started=time.perf_counter(),
            is_fresh=True,
            attempt=Attempt(is_alone=False) if live.calls_out else None,
        )
        drafted = await self.decide.draft([asked])
        return Decided(answer=drafted.answers[0], drafted=drafted)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialDecision:
    """Implements `Decide` for tests of journeys: what would be decided now, and nothing is written."""

    recommend: Recommend

    async def __call__(self, snapshot: TenantSnapshot, request: RecommendRequest) -> Decided:
        """Return the decision."""
        asked, decided = await self.recommend.prepare(snapshot.configuration.tenant_id, request)
        return Decided(answer=build_answer(asked.snapshot, asked.live, asked.request, decided, 0.0))
