"""The decision engine, wired on its stores: the same for a process that answers requests and one that does jobs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from kaireon_application.decisioning.decide_together import DecideTogether
from kaireon_application.decisioning.ensure_base_flow import ensure_base_flow
from kaireon_application.decisioning.facts import FactLoader
from kaireon_application.decisioning.fetch_scores import FetchScores, ShadowCalls
from kaireon_application.decisioning.plan_decision import PlanDecision
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.governance.actor import SYSTEM
from kaireon_storage.postgres.configuration import PostgresConfiguration
from kaireon_storage.postgres.decisions import PostgresDecisions
from kaireon_storage.postgres.facts import PostgresFacts
from kaireon_storage.postgres.flows import PostgresFlows
from kaireon_storage.redis.fact_cache import RedisFactCache
from kaireon_storage.redis.outbox_waker import OutboxWaker

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from kaireon_application.learning.external_scoring import ExternalScoring
    from kaireon_application.learning.imported_graph import LoadedGraphs
    from kaireon_runtime.metrics import Metrics
    from kaireon_storage.boosting import TreesLoader
    from kaireon_storage.postgres.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionEngine:
    """What plans, loads, decides and commits."""

    snapshots: Snapshots
    plan: PlanDecision
    facts: FactLoader
    decide: DecideTogether
    decisions: PostgresDecisions
    flows: PostgresFlows
    cache: RedisFactCache
    waker: OutboxWaker
    shadows: ShadowCalls

    async def drain(self) -> None:
        """End what goes on in the background; before Redis is closed."""
        await self.shadows.drain()
        await self.cache.drain()
        await self.waker.drain()


def build_decision_engine(
    database: Database,
    redis: Redis,
    metrics: Metrics,
    trees: TreesLoader,
    graphs: LoadedGraphs,
    scoring: ExternalScoring,
    *,
    is_cache_filled: bool = True,
    is_marked: bool = False,
) -> DecisionEngine:
    """Return the engine, unconnected. Who decides for a million customers should not fill the cache with them.

    `is_marked`: there are interaction stores beside Postgres, which the marks of its commits are for.
    """
    snapshots = Snapshots(PostgresConfiguration(database, trees, graphs), metrics)
    flows, cache = PostgresFlows(database), RedisFactCache(redis, metrics, is_filled=is_cache_filled)
    shadows = ShadowCalls()
    fetch = FetchScores(scoring=scoring, shadows=shadows)
    facts = FactLoader(cache=cache, store=PostgresFacts(database), metrics=metrics)
    return DecisionEngine(
        snapshots=snapshots,
        plan=PlanDecision(
            snapshots=snapshots, ensure_flow=lambda tenant_id: ensure_base_flow(flows, UUID(tenant_id), SYSTEM)
        ),
        facts=facts,
        decide=DecideTogether(facts=facts, fetch=fetch, now_ms=now_ms, metrics=metrics),
        decisions=PostgresDecisions(database, is_marked=is_marked),
        flows=flows,
        cache=cache,
        waker=OutboxWaker(redis),
        shadows=shadows,
    )


def now_ms() -> int:
    """Return the instant, in ms since 1970."""
    return time.time_ns() // 1_000_000
