"""Recommending: the next best offers for one customer, now. Plan; then load, decide and commit with whoever asks."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass

from msgspec.structs import replace

from kaireon_application.decisioning.asked import Asked
from kaireon_application.decisioning.decide_together import CommitDecisions, DecideTogether
from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_application.decisioning.fetch_scores import Attempt, ScoresNeeded
from kaireon_application.decisioning.plan_decision import PlanDecision
from kaireon_application.decisioning.record_decision import IdempotencyDraft
from kaireon_application.decisioning.wire import ANONYMOUS, Recommendation, RecommendRequest
from kaireon_application.errors import CapTaken
from kaireon_runtime.catalogue import DECISION_CONFLICTS
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.origin import origin

# After so many lost races for one customer a request stops racing and takes the customer's row.
MAX_ATTEMPTS = 5

# Holds one customer's row, so that nobody else commits; yields how to commit meanwhile.
HoldCustomer = Callable[[str, str], AbstractAsyncContextManager[CommitDecisions]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommend:
    """The use case; one per process."""

    plan: PlanDecision
    decide: DecideTogether
    # Decides with whoever else asks right now; None when the customer moved on meanwhile.
    together: Callable[[Asked], Awaitable[Recommendation | None]]
    # Commits with whoever else commits right now: the decision of one who waited for a service.
    commit: CommitDecisions
    hold: HoldCustomer
    metrics: Metrics

    async def __call__(
        self,
        tenant_id: str,
        request: RecommendRequest,
        *,
        caller: str,
        idempotency: IdempotencyDraft | None = None,
        validation_ms: float = 0.0,
    ) -> Recommendation:
        """Return the recommendation, once everything about it is durable.

        `caller` identifies an anonymous customer without session (address and user agent); `validation_ms` is how long
        it took to check the request.
        """
        asked = await self._plan(tenant_id, request, _customer_id(request, caller))
        if idempotency is not None or request.debug:
            asked = replace(asked, idempotency=idempotency, validation_ms=validation_ms)
        answer = await self._decide(asked)
        if answer is None:
            answer = await self._insist(replace(asked, is_fresh=True))
        return answer

    async def prepare(self, tenant_id: str, request: RecommendRequest) -> tuple[Asked, DecidedCustomer]:
        """Return what would be decided now, without writing anything: for explanations."""
        asked = replace(await self._plan(tenant_id, request, request.customer_id), is_fresh=True)
        (decided,) = await self.decide.decide([asked])
        return replace(asked, live=asked.form(decided)), decided

    async def _insist(self, asked: Asked) -> Recommendation:
        """Decide again from fresh facts until it is committed."""
        for _ in range(MAX_ATTEMPTS - 1):
            self.metrics.add(DECISION_CONFLICTS)
            answer = await self._decide(asked)
            if answer is not None:
                return answer
        while True:
            # Ends: each time that a cap was taken meanwhile, less of it is left to be taken; and offers are finite.
            with suppress(CapTaken, ScoresNeeded):
                async with self.hold(asked.tenant_id, asked.customer_id) as commit:
                    (answer,) = await self.decide([_without_calls(asked)], commit)
                assert answer is not None, asked.customer_id  # noqa: S101 - the row was held: nobody else could commit
                return answer
            if asked.attempt is not None:
                # What services were not asked about yet they are asked about now that the row is free.
                await self.decide.decide([asked])

    async def _decide(self, asked: Asked) -> Recommendation | None:
        """Decide with others; one who must wait for a service waits alone, and commits with others."""
        if not asked.live.calls_out:
            return await self.together(asked)
        (answer,) = await self.decide([asked], self.commit)
        return answer

    async def _plan(self, tenant_id: str, request: RecommendRequest, customer_id: str) -> Asked:
        started = time.perf_counter()
        snapshot, live = await self.plan(tenant_id, request.flow_key, request.routing)
        attempt = Attempt(is_alone=True) if live.calls_out else None
        return Asked(
            snapshot=snapshot,
            live=live,
            request=request,
            customer_id=customer_id,
            started=started,
            attempt=attempt,
            traceparent=origin().traceparent,
        )


def _without_calls(asked: Asked) -> Asked:
    if asked.attempt is None:
        return asked
    return replace(asked, attempt=dataclasses.replace(asked.attempt, may_call=False))


def _customer_id(request: RecommendRequest, caller: str) -> str:
    return request.customer_id if request.customer_id != ANONYMOUS else anonymous_id(request.session_id or caller)


def anonymous_id(seed: str) -> str:
    """Return the id of the anonymous customer who is known by a session or a caller."""
    return f"anon_{hashlib.sha256(seed.encode()).hexdigest()[:32]}"
