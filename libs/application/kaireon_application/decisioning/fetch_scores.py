"""Fetching what decisions need of models that are services, beside the data that was loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from kaireon_application.decisioning.snapshot import LiveFlow, TenantSnapshot
from kaireon_application.learning.external_scoring import EndpointBody, EndpointCall, ExternalScoring
from kaireon_core.decisioning.decide import Decisions, NeedScores
from kaireon_core.decisioning.external import Fetched, OfferScores, ScoreNeed
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.table import CustomerFacts

# So many calls of one group of customers are on their way at once.
_AT_ONCE = 32
# So many calls of shadows are on their way in the process at once, and so many may wait for them.
_SHADOWS_AT_ONCE, _MOST_SHADOWS = 32, 1000
_Answers: TypeAlias = dict[str, OfferScores]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What services may have been told of a decision: its instant and its ids."""

    now_ms: int
    ids: list[str]


@dataclass(slots=True, kw_only=True)
class Attempt:
    """What earlier attempts at a decision leave to later ones, which begin because they lost a race.

    What services said is not asked again. One that is decided alone keeps its instant and its ids.
    """

    is_alone: bool
    # Not while others wait for the customer's row.
    may_call: bool = True
    told: Told | None = None
    fetched: _Answers = field(default_factory=_Answers)


class ScoresNeeded(Exception):
    """A decision that may not call out now needs scores that have not been fetched."""


class Fetching(msgspec.Struct, frozen=True, kw_only=True):
    """For whom, and for which decision, scores are fetched."""

    customer_id: str
    facts: CustomerFacts
    decision_id: str
    attempt: Attempt | None = None


class ShadowCalls:
    """Calls that nobody waits for; each ends within the time-out of its model."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[OfferScores]] = set()
        self._gate = asyncio.Semaphore(_SHADOWS_AT_ONCE)

    def start(self, scoring: ExternalScoring, call: EndpointCall) -> asyncio.Task[OfferScores] | None:
        """Begin a call; None while too many wait."""
        if len(self._running) >= _MOST_SHADOWS:
            return None

        async def ask() -> OfferScores:
            async with self._gate:
                return await scoring.score(call)

        task = asyncio.create_task(ask())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def drain(self) -> None:
        """End what is still on its way."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _in_time(call: EndpointCall, task: asyncio.Task[OfferScores] | None) -> OfferScores:
    """Return what a shadow has said by now."""
    if task is not None and task.done() and not task.cancelled():
        return task.result()
    return OfferScores(scores={}, reasons=dict.fromkeys(call.offers, FallbackReason.LATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchScores:
    """The use case; one per process."""

    scoring: ExternalScoring
    shadows: ShadowCalls

    async def until_decided(
        self, snapshot: TenantSnapshot, live: LiveFlow, needing: NeedScores, company: Sequence[Fetching]
    ) -> tuple[Decisions, list[Fetched]]:
        """Fetch what services must score until the decisions are made; return them with all that is known.

        Raises `ScoresNeeded` where an attempt may not call.
        """
        if any(one.attempt is not None and not one.attempt.may_call for one in company):
            raise ScoresNeeded
        known = [_Answers(one.attempt.fetched if one.attempt else {}) for one in company]
        decisions: Decisions | NeedScores = needing
        while isinstance(decisions, NeedScores):
            fetched = await self._fetch(snapshot, live, decisions, company)
            for mine, found in zip(known, fetched, strict=True):
                mine.update((key, mine[key].merged(said) if key in mine else said) for key, said in found.items())
            decisions = decisions.resume(fetched)
        for one, mine in zip(company, known, strict=True):
            if one.attempt is not None:
                one.attempt.fetched = mine
        return decisions, list(known)

    async def _fetch(
        self, snapshot: TenantSnapshot, live: LiveFlow, needing: NeedScores, company: Sequence[Fetching]
    ) -> list[Fetched]:
        """Return what the services say for each customer, all of them asked at the same time; never raises.

        What shadows have not said when the others are done is late.
        """
        calls = [(place, call) for need in needing.needs for place, call in _calls(snapshot, live, need, company)]
        beside = [
            (place, call, self.shadows.start(self.scoring, call))
            for need in needing.shadows
            for place, call in _calls(snapshot, live, need, company)
        ]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(call: EndpointCall) -> OfferScores:
            async with gate:
                return await self.scoring.score(call)

        answers = await asyncio.gather(*(ask(call) for _, call in calls))
        fetched = [_Answers() for _ in company]
        for (place, call), answer in zip(calls, answers, strict=True):
            fetched[place][call.model_key] = answer
        for place, call, task in beside:
            fetched[place][call.model_key] = _in_time(call, task)
        return list(fetched)


def _calls(
    snapshot: TenantSnapshot, live: LiveFlow, need: ScoreNeed, company: Sequence[Fetching]
) -> list[tuple[int, EndpointCall]]:
    """Return one call for each customer, by place, with all offers that are needed of the model."""
    configuration, key = snapshot.configuration, need.model_key
    endpoint: Any = configuration.models[key].model
    if not isinstance(endpoint, ExternalEndpoint):
        raise TypeError(endpoint)
    offers = live.compiled.candidates.catalogue.offers
    calls = list[tuple[int, EndpointCall]]()
    for place, one in enumerate(company):
        wanted: list[int] = need.offers[place].nonzero()[0].tolist()
        if not wanted:
            continue
        body = EndpointBody(
            customer_id=one.customer_id,
            attributes=one.facts.customer,
            candidates=[snapshot.sent_offers[offer] for offer in wanted],
            request_id=one.decision_id,
            decision_flow_id=live.published.id,
        )
        call = EndpointCall(
            tenant_id=configuration.tenant_id,
            model_id=configuration.model_origins[key].id,
            model_key=key,
            endpoint=endpoint,
            body=body,
            offers=[offers[offer].id for offer in wanted],
        )
        calls.append((place, call))
    return calls
