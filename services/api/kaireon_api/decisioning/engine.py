"""The decision engine of one process, wired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from redis.asyncio import Redis

from kaireon_application.customers.keep_stores import StoreResponses
from kaireon_application.customers.record_outcome import RecordOutcome
from kaireon_application.customers.stored_history import StoredHistory
from kaireon_application.decisioning.asked import Asked
from kaireon_application.decisioning.changes import DecisionChange, ResponseChange
from kaireon_application.decisioning.decide_together import CommitDecisions, DecideTogether
from kaireon_application.decisioning.facts import FactLoader
from kaireon_application.decisioning.fetch_scores import ShadowCalls
from kaireon_application.decisioning.plan_decision import PlanDecision
from kaireon_application.decisioning.recommend import Recommend
from kaireon_application.decisioning.replay_trace import ReplayTrace
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.decisioning.wire import Recommendation
from kaireon_application.errors import Unavailable
from kaireon_application.learning.external_scoring import ExternalScoring
from kaireon_application.learning.imported_graph import LoadedGraphs
from kaireon_application.platform.grouped import Grouped
from kaireon_runtime.metrics import Metrics
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.decision_engine import DecisionEngine, build_decision_engine, now_ms
from kaireon_storage.interactions.opening import ExternalStores
from kaireon_storage.postgres.archive import PostgresArchive
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.decisions import PostgresDecisions
from kaireon_storage.postgres.flows import PostgresFlows
from kaireon_storage.postgres.history import PostgresHistory
from kaireon_storage.postgres.traces import PostgresTraces
from kaireon_storage.redis.fact_cache import RedisFactCache
from kaireon_storage.redis.outbox_waker import OutboxWaker

_MAX_GROUP = 32
# Two groups at once: while one waits for the disk, the next is being decided.
_MAX_GROUPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What deciding, responding and explaining need."""

    snapshots: Snapshots
    plan: PlanDecision
    facts: FactLoader
    recommend: Recommend
    record_outcome: RecordOutcome
    decisions: PostgresDecisions
    flows: PostgresFlows
    history: PostgresHistory
    stored_history: StoredHistory
    stores: ExternalStores
    responses: StoreResponses | None
    traces: PostgresTraces
    replay: ReplayTrace
    waker: OutboxWaker
    cache: RedisFactCache
    shadows: ShadowCalls

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Load every snapshot and keep it fresh; end what goes on in the background before Redis is closed.

        Without Postgres the process starts all the same, and loads once it is there.
        """
        with suppress(Unavailable):
            await self.snapshots.load_all()
        watching = asyncio.create_task(self.snapshots.watch(), name="snapshots")
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await self.shadows.drain()
            if self.responses is not None:
                await self.responses.drain()
            await self.cache.drain()
            await self.waker.drain()
            await self.stores.close()


def build_engine(
    database: Database,
    redis: Redis,
    metrics: Metrics,
    trees: TreesLoader,
    graphs: LoadedGraphs,
    scoring: ExternalScoring,
    stores: ExternalStores,
) -> Engine:
    """Return the engine, unconnected."""
    core = build_decision_engine(database, redis, metrics, trees, graphs, scoring, is_marked=bool(stores.stores))
    responses = stores.responses(database, metrics)
    traces = PostgresTraces(database)
    return Engine(
        snapshots=core.snapshots,
        plan=core.plan,
        facts=core.facts,
        recommend=_recommend(core, metrics),
        record_outcome=_record_outcome(core, responses, metrics),
        decisions=core.decisions,
        flows=core.flows,
        history=PostgresHistory(database),
        stored_history=stores.history(PostgresHistory(database), metrics),
        stores=stores,
        responses=responses,
        traces=traces,
        replay=ReplayTrace(
            traces=traces, archive=PostgresArchive(database, trees, graphs), snapshots=core.snapshots, now_ms=now_ms
        ),
        waker=core.waker,
        cache=core.cache,
        shadows=core.shadows,
    )


def _recommend(core: DecisionEngine, metrics: Metrics) -> Recommend:
    commit = core.waker.after(core.decisions.commit_decisions)
    return Recommend(
        plan=core.plan,
        decide=core.decide,
        together=_grouped_decisions(core.decide, commit),
        commit=_grouped_commits(commit),
        hold=core.decisions.hold_customer,
        metrics=metrics,
    )


def _record_outcome(core: DecisionEngine, responses: StoreResponses | None, metrics: Metrics) -> RecordOutcome:
    commit = _grouped_responses(core.waker.after(core.decisions.commit_responses))
    return RecordOutcome(
        snapshots=core.snapshots,
        store=core.decisions,
        commit=commit if responses is None else _stored(commit, responses),
        cache=core.cache,
        metrics=metrics,
        now_ms=now_ms,
    )


def _grouped_decisions(decide: DecideTogether, commit: CommitDecisions) -> Grouped[Asked, Recommendation | None]:
    async def decide_group(asked: Sequence[Asked]) -> Sequence[Recommendation | None]:
        return await decide(asked, commit)

    return Grouped(
        decide_group,
        partition=lambda asked: asked.company,
        exclusive=lambda asked: ((asked.tenant_id, asked.customer_id),),
        max_size=_MAX_GROUP,
        max_runs=_MAX_GROUPS,
    )


def _grouped_commits(commit: CommitDecisions) -> CommitDecisions:
    """Return how those who decide alone, after waiting for a service, commit with others."""
    grouped = Grouped[DecisionChange, bool](
        commit,
        partition=lambda change: change.tenant_id,
        exclusive=lambda change: ((change.tenant_id, change.customer_id),),
        max_size=_MAX_GROUP,
        max_runs=_MAX_GROUPS,
    )

    async def commit_each(changes: Sequence[DecisionChange]) -> Sequence[bool]:
        return await asyncio.gather(*map(grouped, changes))

    return commit_each


def _stored(
    commit: Callable[[ResponseChange], Awaitable[bool]], responses: StoreResponses
) -> Callable[[ResponseChange], Awaitable[bool]]:
    """Return how a response is committed and then written to the stores beside Postgres."""

    async def commit_and_store(change: ResponseChange) -> bool:
        is_new = await commit(change)
        if is_new:
            await responses(change)
        return is_new

    return commit_and_store


def _grouped_responses(
    commit: Callable[[Sequence[ResponseChange]], Awaitable[Sequence[bool]]],
) -> Grouped[ResponseChange, bool]:
    return Grouped(
        commit,
        partition=lambda change: change.tenant_id,
        exclusive=lambda change: (("customer", change.customer_id), ("key", change.idempotency.key)),
        max_size=_MAX_GROUP,
        max_runs=_MAX_GROUPS,
    )
