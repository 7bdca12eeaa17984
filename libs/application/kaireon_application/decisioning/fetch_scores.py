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
from kaireon_core.table import CustomerFacts

# So many calls of one group of customers are on their way at once.
_AT_ONCE = 32
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchScores:
    """The use case; one per process."""

    scoring: ExternalScoring

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
            fetched = await self._fetch(snapshot, live, decisions.needs, company)
            for mine, found in zip(known, fetched, strict=True):
                mine.update((key, mine[key].merged(said) if key in mine else said) for key, said in found.items())
            decisions = decisions.resume(fetched)
        for one, mine in zip(company, known, strict=True):
            if one.attempt is not None:
                one.attempt.fetched = mine
        return decisions, list(known)

    async def _fetch(
        self, snapshot: TenantSnapshot, live: LiveFlow, needs: Sequence[ScoreNeed], company: Sequence[Fetching]
    ) -> list[Fetched]:
        """Return what the services say for each customer, all of them asked at the same time; never raises."""
        calls = [(place, call) for need in needs for place, call in _calls(snapshot, live, need, company)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(call: EndpointCall) -> OfferScores:
            async with gate:
                return await self.scoring.score(call)

        answers = await asyncio.gather(*(ask(call) for _, call in calls))
        fetched = [_Answers() for _ in company]
        for (place, call), answer in zip(calls, answers, strict=True):
            fetched[place][call.model_key] = answer
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
