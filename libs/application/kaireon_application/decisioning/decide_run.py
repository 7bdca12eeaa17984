"""The job that decides a batch run: chunk by chunk, each customer once, whatever becomes of its workers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from kaireon_application.decisioning.asked import Asked
from kaireon_application.decisioning.decide_list import DecideError, DecideRequest, result_of
from kaireon_application.decisioning.decide_together import DecideTogether, Drafted
from kaireon_application.decisioning.decision_run import (
    CHUNK_SIZE,
    ChunkTaken,
    CommitPart,
    PlacedCustomer,
    RunLine,
    RunPart,
    RunPlan,
    RunProgress,
    RunStand,
)
from kaireon_application.decisioning.fetch_scores import Attempt
from kaireon_application.decisioning.plan_decision import PlanDecision
from kaireon_application.decisioning.recommend import MAX_ATTEMPTS
from kaireon_application.decisioning.run_terms import RunQuota
from kaireon_application.decisioning.snapshot import LiveFlow, TenantSnapshot
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.decisioning.summarise_run import summarise_run
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_application.errors import Busy, CapTaken, KaireonError, NotFound, Unavailable
from kaireon_application.platform.job import JobCancelled, JobRun, LeaseLost
from kaireon_runtime.catalogue import DECISION_CONFLICTS, UNEXPECTED_ERRORS
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics

# Customers times candidates of one group: what its columns hold at once.
_MOST_CELLS = 500_000
_GROUPS_AT_ONCE = 2
# How soon the leader looks again at what helpers have in hand.
_LOOK_AGAIN_SECONDS = 0.2
_encode = msgspec.json.Encoder().encode


class _Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What decides now, and what is asked of it for every customer."""

    snapshot: TenantSnapshot
    live: LiveFlow
    request: DecideRequest
    quota: RunQuota
    # Where a model is a service, by the customer's place: who loses a race does not ask it again.
    attempts: dict[int, Attempt] = msgspec.field(default_factory=dict[int, Attempt])

    def group_size(self) -> int:
        return max(1, min(CHUNK_SIZE, _MOST_CELLS // max(1, len(self.live.compiled.candidates))))

    def asked(self, group: Sequence[PlacedCustomer], *, is_fresh: bool, is_last_try: bool = False) -> list[Asked]:
        # What a campaign asks for is the same for everybody.
        open_to_all = RecommendRequest(customer_id=group[0].customer.customer_id, limit=self.request.limit)
        narrowed = self.quota.narrowed(open_to_all, self.snapshot, is_last_try=is_last_try)
        return [self._asked(placed, narrowed, is_fresh=is_fresh) for placed in group]

    def _asked(self, placed: PlacedCustomer, narrowed: RecommendRequest, *, is_fresh: bool) -> Asked:
        request = msgspec.structs.replace(
            self.request.request_of(placed.customer),
            exclude_offers=narrowed.exclude_offers,
            exclude_creatives=narrowed.exclude_creatives,
            limit=narrowed.limit,
        )
        return Asked(
            snapshot=self.snapshot,
            live=self.live,
            request=request,
            customer_id=request.customer_id,
            started=time.perf_counter(),
            is_fresh=is_fresh,
            attempt=self.attempts.setdefault(placed.place, Attempt(is_alone=False)) if self.live.calls_out else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideRun:
    """The use case; safe to run again: who has a result is not decided again."""

    snapshots: Snapshots
    plan: PlanDecision
    decide: DecideTogether
    progress: RunProgress
    metrics: Metrics

    async def __call__(self, run: JobRun) -> dict[str, Any]:
        """Lead: decide whatever nobody else does until all is decided, keep the summary, return the job's result."""
        plan = await self._opened(run)
        quota = await self._quota(run, plan)
        try:
            await self._decide_free(run, plan, quota)
            while not (await self._report(run, plan)).is_complete:
                # Helpers have the rest in hand; what one of them leaves behind is free again when its lease lapses.
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                await self._decide_free(run, plan, quota)
        except JobCancelled:
            await self._dismiss(run, plan)
            raise
        snapshot = await self.snapshots.current(str(run.job.tenant_id))
        summary = await self.progress.finish(run, lambda counts: summarise_run(counts, snapshot))
        return {"processed": summary.customers_processed, "failed": summary.customers_failed}

    async def help(self, run: JobRun) -> dict[str, Any]:
        """Decide chunks of a run that another worker leads, until none is free or this one is wanted elsewhere."""
        plan = await self._opened(run)
        with suppress(JobCancelled, LeaseLost):
            await self._decide_free(run, plan, RunQuota(plan.terms, Counter(), Counter(), 0))
        return {}

    async def _opened(self, run: JobRun) -> RunPlan:
        plan = await self.progress.open(run)
        if plan is None:
            raise NotFound(f"there is no batch run {run.job.id}")
        return plan

    async def _quota(self, run: JobRun, plan: RunPlan) -> RunQuota:
        """Return what is left of the run's caps."""
        if not plan.terms.frequency_caps.are_any:
            return RunQuota(plan.terms, Counter(), Counter(), 0)
        so_far = await self.progress.counted(run)
        return RunQuota(
            plan.terms, Counter(dict(so_far.offers)), Counter(dict(so_far.channels)), so_far.recommendations
        )

    async def _report(self, run: JobRun, plan: RunPlan) -> RunStand:
        stand = await self.progress.stand(run)
        await run.report(stand.processed, plan.total)
        return stand

    async def _dismiss(self, run: JobRun, plan: RunPlan) -> None:
        """Let nobody write any more, so that the progress is what the results are."""
        while True:
            try:
                await self.progress.dismiss(run)
                break
            except Busy:
                # Ends: a helper that hangs in a transaction loses it after a lease.
                continue
        with suppress(JobCancelled):
            await self._report(run, plan)

    async def _decide_free(self, run: JobRun, plan: RunPlan, quota: RunQuota) -> None:
        """Decide chunk after chunk until none is free."""
        async with aclosing(self._groups(run, plan, quota)) as groups:
            # Caps are counted by one group at a time.
            await self._decide_all(run, plan, groups, 1 if quota.is_bounded else _GROUPS_AT_ONCE)

    async def _groups(
        self, run: JobRun, plan: RunPlan, quota: RunQuota
    ) -> AsyncGenerator[tuple[_Flow, list[PlacedCustomer]]]:
        """Yield those who are left, in groups, each with the flow that decides when its turn comes."""
        while (left := await self.progress.claim(run)) is not None:
            while left:
                flow = await self._flow(run, plan.request, quota)
                group, left = left[: flow.group_size()], left[flow.group_size() :]
                yield flow, group

    async def _decide_all(
        self, run: JobRun, plan: RunPlan, groups: AsyncGenerator[tuple[_Flow, list[PlacedCustomer]]], at_once: int
    ) -> None:
        """Decide group after group; while one is being committed the next is being decided."""
        running = deque[asyncio.Task[None]]()
        await self._report(run, plan)
        try:
            async for flow, group in groups:
                running.append(asyncio.create_task(self._decide_group(run, flow, group)))
                if len(running) == at_once:
                    await running.popleft()
                    await self._report(run, plan)
            while running:
                await running.popleft()
                await self._report(run, plan)
        except JobCancelled:
            # Those in hand are decided to the end.
            await asyncio.gather(*running)
            raise
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _flow(self, run: JobRun, request: DecideRequest, quota: RunQuota) -> _Flow:
        """Return the flow as it is now: what is published or configured meanwhile holds from here on."""
        await self.snapshots.look()
        snapshot, live = await self.plan(str(run.job.tenant_id), request.decision_flow_key, request.routing)
        return _Flow(snapshot=snapshot, live=live, request=request, quota=quota)

    async def _decide_group(self, run: JobRun, flow: _Flow, group: Sequence[PlacedCustomer]) -> None:
        """Decide until everyone has a result. Who loses every race is decided while nobody else may commit."""
        commit, left = self.progress.committing(run), group
        try:
            for attempt in range(MAX_ATTEMPTS):
                left = await self._decide(flow, left, commit, is_fresh=attempt > 0)
                if not left:
                    return
                self.metrics.add(DECISION_CONFLICTS, amount=len(left))
            for placed in left:
                await self._insist(run, flow, placed)
        except ChunkTaken:
            # A lease that had lapsed was renewed, too late for this chunk: they are somebody else's now.
            return

    async def _insist(self, run: JobRun, flow: _Flow, placed: PlacedCustomer) -> None:
        """Decide for a customer who is held until it is committed."""
        left = [placed]
        while left:
            # Ends: each time that a cap was taken meanwhile, less of it is left to be taken.
            async with self.progress.holding(run, placed.customer.customer_id) as commit:
                left = await self._decide(flow, left, commit, is_fresh=True)

    async def _decide(
        self, flow: _Flow, group: Sequence[PlacedCustomer], commit: CommitPart, *, is_fresh: bool
    ) -> list[PlacedCustomer]:
        """Decide a group, and return those who moved on meanwhile. One customer's fault is theirs alone."""
        try:
            drafted = await self.decide.draft(flow.asked(group, is_fresh=is_fresh))
            fitting = flow.quota.fitting(drafted.changes)
            if fitting < len(group):
                return await self._within_caps(flow, group, commit, fitting, is_fresh=is_fresh)
            won = await self._commit(flow, group, commit, drafted)
        except (Busy, CapTaken) as error:
            # A smaller group may still find room under the cap.
            is_divided = isinstance(error, CapTaken) and len(group) > 1
            return await self._halves(flow, group, commit, is_fresh=is_fresh) if is_divided else list(group)
        except (Unavailable, LeaseLost, ChunkTaken):
            raise
        except Exception as error:  # noqa: BLE001 - told in the customer's result, counted and logged
            return await self._divide(flow, group, commit, error, is_fresh=is_fresh)
        self.decide.committed(drafted, won)
        return [placed for placed, has_won in zip(group, won, strict=True) if not has_won]

    async def _within_caps(
        self, flow: _Flow, group: Sequence[PlacedCustomer], commit: CommitPart, fitting: int, *, is_fresh: bool
    ) -> list[PlacedCustomer]:
        """Decide as many as the run's caps have room for, then the others from what is left of them."""
        if fitting:
            first = await self._decide(flow, group[:fitting], commit, is_fresh=is_fresh)
            return first + await self._decide(flow, group[fitting:], commit, is_fresh=is_fresh)
        drafted = await self.decide.draft(flow.asked(group[:1], is_fresh=is_fresh, is_last_try=True))
        won = await self._commit(flow, group[:1], commit, drafted)
        self.decide.committed(drafted, won)
        rest = await self._decide(flow, group[1:], commit, is_fresh=is_fresh) if len(group) > 1 else []
        return [*([] if won[0] else group[:1]), *rest]

    async def _commit(
        self, flow: _Flow, group: Sequence[PlacedCustomer], commit: CommitPart, drafted: Drafted
    ) -> Sequence[bool]:
        won = await commit(RunPart(changes=drafted.changes, lines=_lines(group, drafted)))
        for change, has_won in zip(drafted.changes, won, strict=True):
            if has_won:
                flow.quota.take(change)
        return won

    async def _divide(
        self,
        flow: _Flow,
        group: Sequence[PlacedCustomer],
        commit: CommitPart,
        error: Exception,
        *,
        is_fresh: bool,
    ) -> list[PlacedCustomer]:
        """Find out whose fault it is, half by half."""
        if len(group) > 1:
            return await self._halves(flow, group, commit, is_fresh=is_fresh)
        await commit(RunPart(refusals=[self._refusal(group[0], error)]))
        return []

    async def _halves(
        self, flow: _Flow, group: Sequence[PlacedCustomer], commit: CommitPart, *, is_fresh: bool
    ) -> list[PlacedCustomer]:
        middle = len(group) // 2
        first = await self._decide(flow, group[:middle], commit, is_fresh=is_fresh)
        return first + await self._decide(flow, group[middle:], commit, is_fresh=is_fresh)

    def _refusal(self, placed: PlacedCustomer, error: Exception) -> RunLine:
        told = error if isinstance(error, KaireonError) else KaireonError("this customer could not be decided")
        if told is not error:
            self.metrics.add(UNEXPECTED_ERRORS, "worker")
            logger("kaireon.runs").error("a customer could not be decided", exc_info=error)
        line = DecideError(customer_id=placed.customer.customer_id, code=told.code, message=told.message)
        return RunLine(place=placed.place, line=_encode(line))


def _lines(group: Sequence[PlacedCustomer], drafted: Drafted) -> list[RunLine]:
    return [
        RunLine(place=placed.place, line=_encode(result_of(answer)))
        for placed, answer in zip(group, drafted.answers, strict=True)
    ]
