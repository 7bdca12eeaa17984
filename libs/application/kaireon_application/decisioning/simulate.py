"""Simulating: what a flow, published or not, would decide for some customers now; nothing is written."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from kaireon_application.catalog.entities import EntityReader
from kaireon_application.decisioning.asked import Asked
from kaireon_application.decisioning.choose_flow import choose_flow
from kaireon_application.decisioning.decide_list import MAX_CUSTOMERS, DecideCustomer
from kaireon_application.decisioning.decide_together import DecideTogether
from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_application.decisioning.explain_trace import narrowed
from kaireon_application.decisioning.flow_references import reference_problems
from kaireon_application.decisioning.simulation import (
    OfferCount,
    SimulatedCustomer,
    SimulateRequest,
    Simulation,
    TopScore,
    TraceSummary,
)
from kaireon_application.decisioning.snapshot import LiveFlow, PublishedFlow, TenantSnapshot
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_application.errors import InvalidInput, NotFound
from kaireon_application.platform.identity import new_ids
from kaireon_core.decisioning.call_flow import inline_calls
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.problems import InvalidValue

# Decided at once; between two groups other requests have their turn.
_AT_ONCE = 64
# Where each customer costs a call of a service.
_MOST_CALLED_FOR = 100
_TOP_OFFERS = 10
_TOP_SCORES = 5
# What a flow that was never published is called.
_GIVEN = "given-flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulate:
    """The use case. `reading` opens a transaction that reads the tenant's things; `members` are those of a segment."""

    snapshots: Snapshots
    decide: DecideTogether
    reading: Callable[[UUID], AbstractAsyncContextManager[EntityReader]]
    members: Callable[[UUID, str], AsyncGenerator[list[str]]]

    async def __call__(self, tenant_id: UUID, request: SimulateRequest) -> Simulation:
        """Return the simulation.

        Raises `NotFound` for an unknown flow or segment, `InvalidInput` for a flow that cannot run, `Conflict` for a
        segment that does not fit its schema any more.
        """
        snapshot = await self.snapshots.current(str(tenant_id))
        live = await self._live(tenant_id, snapshot, request)
        if request.segment_id is not None:
            request = msgspec.structs.replace(request, customers=await self._sample(tenant_id, request))
        requests, results = request.requests(), list[SimulatedCustomer]()
        if live.calls_out and len(requests) > _MOST_CALLED_FOR:
            message = f"the flow asks a service for each customer: simulate at most {_MOST_CALLED_FOR}"
            raise InvalidInput.at("$.customers" if request.segment_id is None else "$.sampleSize", message)
        for start in range(0, len(requests), _AT_ONCE):
            asked = [_asked(snapshot, live, one) for one in requests[start : start + _AT_ONCE]]
            decided = await self.decide.decide(asked)
            results += [_result(each, one.form(each)) for one, each in zip(asked, decided, strict=True)]
            await asyncio.sleep(0)
        return _simulation(results, None if request.flow is not None else live.published.key)

    async def _live(self, tenant_id: UUID, snapshot: TenantSnapshot, request: SimulateRequest) -> LiveFlow:
        if request.flow is not None:
            given = await self._given(tenant_id, snapshot, request.flow)
            return await asyncio.to_thread(snapshot.trial, given)
        chosen = choose_flow(snapshot, request.flow_key, request.routing)
        if chosen is None:
            raise NotFound("no decision flow is active: publish one, or send a flow")
        return snapshot.live(chosen)

    async def _sample(self, tenant_id: UUID, request: SimulateRequest) -> list[DecideCustomer]:
        """Return the first members of the segment, as many as were asked for."""
        size, ids = request.sample_size or MAX_CUSTOMERS, list[str]()
        async with aclosing(self.members(tenant_id, request.segment_id or "")) as batches:
            async for batch in batches:
                ids += batch
                if len(ids) >= size:
                    break
        return [DecideCustomer(customer_id=id_) for id_ in ids[:size]]

    async def _given(self, tenant_id: UUID, snapshot: TenantSnapshot, config: dict[str, Any]) -> PublishedFlow:
        """Return a flow document as if it were published. Raises `InvalidInput` as publishing it would."""
        try:
            flow = parse_flow(config, FlowKind.PUBLISHED, "$.flow")
            async with self.reading(tenant_id) as reader:
                problems = await reference_problems(reader, flow, "$.flow")
            callable_flows = {one.key: one.flow for one in snapshot.configuration.flows}
            flow = flow if problems else inline_calls(flow, callable_flows, path="$.flow")
        except InvalidValue as error:
            raise InvalidInput.of(error.problems) from None
        if problems:
            raise InvalidInput.of(problems)
        return PublishedFlow(
            id=str(UUID(int=0)), key=_GIVEN, name=_GIVEN, status="active", version=0, flow=flow, published_at=""
        )


def _asked(snapshot: TenantSnapshot, live: LiveFlow, request: RecommendRequest) -> Asked:
    return Asked(
        snapshot=snapshot,
        live=live,
        request=request,
        customer_id=request.customer_id,
        started=time.perf_counter(),
        is_fresh=True,
    )


def _result(decided: DecidedCustomer, live: LiveFlow) -> SimulatedCustomer:
    funnel = decided.decisions.funnel(live.compiled, decided.index)
    qualified, allowed = narrowed(funnel, len(live.compiled.candidates))
    return SimulatedCustomer(
        customer_id=decided.customer_id,
        decisions=decided.items(live),
        trace_summary=TraceSummary(
            total_candidates=len(live.compiled.candidates),
            after_qualification=qualified,
            after_contact_policy=allowed,
            top_scores=_top_scores(decided, live),
        ),
        degraded_scoring=decided.is_degraded,
    )


def _top_scores(decided: DecidedCustomer, live: LiveFlow) -> list[TopScore]:
    """Return the best offers of those that were scored, each once; equal scores follow the offer's key."""
    decisions, entries = decided.decisions, live.described.candidates
    scored: list[int] = decisions.scored[decided.index].nonzero()[0].tolist()
    scores = np.broadcast_to(decisions.score, decisions.scored.shape)[decided.index]
    ordered = sorted(scored, key=lambda row: (-scores[row], entries[row].offer_key))
    best = dict[str, TopScore]()
    for row in ordered:
        entry = entries[row]
        top = TopScore(offer_id=entry.offer_id, offer_key=entry.offer_key, score=float(scores[row]))
        best.setdefault(entry.offer_id, top)
        if len(best) == _TOP_SCORES:
            break
    return list(best.values())


def _simulation(results: Sequence[SimulatedCustomer], flow_key: str | None) -> Simulation:
    items = [item for one in results for item in one.decisions]
    counts = Counter((item.offer_id, item.offer_key) for item in items)
    top = sorted(counts.items(), key=lambda counted: (-counted[1], counted[0][1]))[:_TOP_OFFERS]
    return Simulation(
        id=new_ids(time.time_ns() // 1_000_000, 1)[0],
        decision_flow_key=flow_key,
        reachable_customers=sum(bool(one.decisions) for one in results),
        offers_delivered=len(items),
        average_score=sum(item.score for item in items) / len(items) if items else None,
        top_offers=[OfferCount(offer_id=id_, offer_key=key, count=count) for (id_, key), count in top],
        results=list(results),
    )
