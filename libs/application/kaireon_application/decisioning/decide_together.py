"""Deciding for many customers at once: what concurrent requests have in common is loaded and committed once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kaireon_application.decisioning.answer import build_answer
from kaireon_application.decisioning.asked import Asked
from kaireon_application.decisioning.changes import DecisionChange
from kaireon_application.decisioning.customer_facts import build_customer_facts, segments_of
from kaireon_application.decisioning.decided_customer import DecidedCustomer, draw_ids, seed_of
from kaireon_application.decisioning.facts import ContactRow, CustomerRecord, FactLoader, History
from kaireon_application.decisioning.fetch_scores import Fetching, FetchScores, Told
from kaireon_application.decisioning.history_columns import contacts_of
from kaireon_application.decisioning.learned_facts import learned_of
from kaireon_application.decisioning.observe_group import observe_group
from kaireon_application.decisioning.record_decision import build_change
from kaireon_application.decisioning.record_trace import is_traced
from kaireon_application.decisioning.snapshot import LiveFlow
from kaireon_application.decisioning.stored_segments import tags_of
from kaireon_application.decisioning.tenant_counts import TenantCounts, counters_of, current_periods
from kaireon_application.decisioning.trace_group import of_trace, tell_traces
from kaireon_application.decisioning.wire import Recommendation, RecommendRequest
from kaireon_application.experimentation.variant import (
    Variant,
)
from kaireon_core.column import Mask
from kaireon_core.decisioning.decide import Decisions, Facts, NeedScores, start
from kaireon_core.decisioning.external import Fetched
from kaireon_core.decisioning.request import DecisionRequest
from kaireon_core.decisioning.shadows import ShadowResults
from kaireon_core.learning.fallback import reason_of
from kaireon_core.table import CustomerFacts
from kaireon_runtime.catalogue import (
    DECISION_DELIVERY,
    DECISION_LATENCY,
    DECISIONS,
    EXPERIMENT_ASSIGNMENTS,
    GUARDRAIL_EVALUATIONS,
    MANDATORY_CAP_HITS,
    OFFERS_EVALUATED,
    SCORING_CANDIDATES,
    SCORING_FALLBACK,
    SHADOW_FALLBACK,
    UNKNOWN_RULES,
)
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics

# Commits changes of one tenant in one transaction; False for those whose customer moved on since `expected_version`.
CommitDecisions = Callable[[Sequence[DecisionChange]], Awaitable[Sequence[bool]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """What a group of decisions shares: their instant, how long loading took (s), and what is counted and learned."""

    now_ms: int
    began: float
    ended: float
    counts: TenantCounts | None
    # Whether what is decided leaves a trace, unless sampling leaves it out.
    is_recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What was decided for those who asked, in their order, and not yet committed."""

    asked: Sequence[Asked]
    decided: list[DecidedCustomer]
    answers: list[Recommendation]
    changes: list[DecisionChange]
    contacts: list[list[ContactRow]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideTogether:
    """Load, decide, commit for requests of one company and distinct customers."""

    facts: FactLoader
    fetch: FetchScores
    now_ms: Callable[[], int]
    metrics: Metrics

    async def __call__(self, asked: Sequence[Asked], commit: CommitDecisions) -> list[Recommendation | None]:
        """Return each one's answer once it is durable, None for a customer who moved on meanwhile."""
        began = time.perf_counter()
        drafted = await self.draft(asked)
        drafted_at = time.perf_counter()
        won = await commit(drafted.changes)
        tell_traces(drafted.decided, began, drafted_at)
        self.committed(drafted, won)
        self._observe_latency(drafted, won)
        observe_group(self.metrics, drafted.decided, (time.perf_counter() - began) * 1000)
        return [answer if has_won else None for answer, has_won in zip(drafted.answers, won, strict=True)]

    async def draft(self, asked: Sequence[Asked]) -> Drafted:
        """Load and decide, and return the answers with what there is to commit."""
        decided = await self.decide(asked, is_recorded=True)
        forms = [one.form(each) for one, each in zip(asked, decided, strict=True)]
        answers = [
            build_answer(one.snapshot, form, one.request, each, one.validation_ms)
            for one, form, each in zip(asked, forms, decided, strict=True)
        ]
        written = [
            build_change(one.snapshot, form, each, answer, one.idempotency)
            for one, form, each, answer in zip(asked, forms, decided, answers, strict=True)
        ]
        return Drafted(
            asked=asked,
            decided=decided,
            answers=answers,
            changes=[of_trace(change, one.traceparent) for one, (change, _) in zip(asked, written, strict=True)],
            contacts=[contacts for _, contacts in written],
        )

    def committed(self, drafted: Drafted, won: Sequence[bool]) -> None:
        """Remember and count what is durable now: the histories of those who have won, and their decisions."""
        asked, decided = drafted.asked, drafted.decided
        needs, now_ms = asked[0].live.needs, decided[0].request.now_ms
        histories: list[tuple[str, History]] = [
            (each.customer_id, each.record.history.after(contacts, needs, now_ms, _assigned(each)))
            for each, contacts, has_won in zip(decided, drafted.contacts, won, strict=True)
            if has_won
        ]
        self.facts.remember_history(asked[0].tenant_id, histories)
        answers = [answer for answer, has_won in zip(drafted.answers, won, strict=True) if has_won]
        if answers:
            self._count(asked[0].live, answers)
        for each, has_won in zip(decided, won, strict=True):
            if has_won and each.variant.is_new:
                self.metrics.add(EXPERIMENT_ASSIGNMENTS, each.variant.name or "")

    def _count(self, live: LiveFlow, answers: Sequence[Recommendation]) -> None:
        metrics, offered = self.metrics, sum(answer.count > 0 for answer in answers)
        evaluated = len(live.compiled.candidates) * len(answers)
        metrics.add(DECISIONS, "offers", amount=offered)
        metrics.add(DECISIONS, "empty", amount=len(answers) - offered)
        metrics.add(DECISION_DELIVERY, amount=sum(answer.count for answer in answers))
        metrics.add(OFFERS_EVALUATED, amount=evaluated)

    def _count_scored(self, live: LiveFlow, decisions: Decisions) -> None:
        """Count the candidates of each model, and those whose score stands in for the model's own."""
        for count in live.scored_by.counts(decisions.scored, decisions.fallbacks):
            self.metrics.add(SCORING_CANDIDATES, count.model_key, amount=count.candidates)
            for reason, candidates in count.fallbacks.items():
                self.metrics.add(SCORING_FALLBACK, count.model_key, reason, amount=candidates)

    def _count_held(self, live: LiveFlow, decisions: Decisions, customers: int) -> None:
        """Count what held offers back beside the rules: the mandatory cap, guardrails, rules of unknown types."""
        if decisions.mandatory is not None:
            held_back = np.isin(decisions.reasons, live.compiled.mandatory_codes)
            self.metrics.add(MANDATORY_CAP_HITS, amount=int(np.count_nonzero(held_back)))
        for guardrail, failing in decisions.guardrails:
            failed = int(np.count_nonzero(failing))
            result = "warned" if guardrail.body.get("severity") == "soft" else "blocked"
            self.metrics.add(GUARDRAIL_EVALUATIONS, result, amount=failed)
            self.metrics.add(GUARDRAIL_EVALUATIONS, "passed", amount=len(failing) - failed)
        for type_ in live.compiled.unknown_rules:
            self.metrics.add(UNKNOWN_RULES, type_, amount=customers)
        self._count_shadows(decisions.shadows)

    def _count_shadows(self, results: ShadowResults | None) -> None:
        """Count the scores that shadows owe, and log what they raised."""
        for shadow in results.scores if results else ():
            owed = np.bincount(shadow.reasons.ravel(), minlength=1)
            for code in np.flatnonzero(owed[1:]) + 1:
                reason = reason_of(int(code)) or ""
                self.metrics.add(SHADOW_FALLBACK, shadow.key, reason, amount=int(owed[code]))
            if shadow.error is not None:
                logger("kaireon.learning").warning("a shadow failed", modelKey=shadow.key, reason=shadow.error)

    def _observe_latency(self, drafted: Drafted, won: Sequence[bool]) -> None:
        """Observe how long each caller has waited; those asked share their flow and channel."""
        first, now = drafted.asked[0], time.perf_counter()
        channel = first.request.channel if first.request.channel in first.live.channel_types else None
        for one, has_won in zip(drafted.asked, won, strict=True):
            if has_won:
                self.metrics.observe(DECISION_LATENCY, (now - one.started) * 1000, channel or "")

    async def decide(self, asked: Sequence[Asked], *, is_recorded: bool = False) -> list[DecidedCustomer]:
        """Load and decide, without writing anything; shadows score only for what is to be recorded."""
        now_ms = self._instant(asked)
        loading = time.perf_counter()
        records, counts = await asyncio.gather(self._load(asked, now_ms), self._counted(asked[0], now_ms))
        loaded = _Loaded(
            now_ms=now_ms, began=loading, ended=time.perf_counter(), counts=counts, is_recorded=is_recorded
        )
        variants = [one.variant(record, now_ms) for one, record in zip(asked, records, strict=True)]
        if not any(variant.name for variant in variants):
            return await self._decide(asked, records, variants, loaded)
        decided = dict[int, DecidedCustomer]()
        for name in dict.fromkeys(variant.name for variant in variants):
            places = [place for place, variant in enumerate(variants) if variant.name == name]
            mine = await self._decide(
                [asked[place] for place in places],
                [records[place] for place in places],
                [variants[place] for place in places],
                loaded,
            )
            decided.update(zip(places, mine, strict=True))
        return [decided[place] for place in range(len(asked))]

    async def _decide(
        self, asked: Sequence[Asked], records: Sequence[CustomerRecord], variants: Sequence[Variant], loaded: _Loaded
    ) -> list[DecidedCustomer]:
        """Decide for customers of one variant."""
        now_ms = loaded.now_ms
        live = asked[0].snapshot.variant(asked[0].live, variants[0].name)
        request = _decision_request(asked[0].request, now_ms)
        # A decision's chance follows from its id, so that it can be decided again.
        ids = _drawn(asked, now_ms)
        facts = _facts(asked, records, live, loaded, [decision_id for decision_id, _ in ids])
        enriched = time.perf_counter()
        decisions, fetched = await self._made(asked, live, request, facts, ids)
        self._count_scored(live, decisions)
        self._count_held(live, decisions, len(asked))
        finished = time.perf_counter()
        return [
            DecidedCustomer(
                customer_id=one.customer_id,
                record=records[index],
                facts=facts.customers[index],
                segments=facts.segments[index],
                request=request,
                decisions=decisions,
                index=index,
                ids=ids[index],
                fetched=fetched[index] if fetched else {},
                variant=variants[index],
                load_ms=(loaded.ended - loaded.began) * 1000,
                enrichment_ms=(enriched - loaded.ended) * 1000,
                duration_ms=(finished - one.started) * 1000,
                told_stages_ms=decisions.stages_ms if one.request.debug else {},
            )
            for index, one in enumerate(asked)
        ]

    async def _made(
        self,
        asked: Sequence[Asked],
        live: LiveFlow,
        request: DecisionRequest,
        facts: Facts,
        ids: Sequence[list[str]],
    ) -> tuple[Decisions, Sequence[Fetched]]:
        """Return the decisions, and what services said for them; nothing where none is asked."""
        decisions = start(live.compiled, request, facts, _ticks)
        if not isinstance(decisions, NeedScores):
            return decisions, facts.fetched
        company = [
            Fetching(customer_id=one.customer_id, facts=customer, decision_id=drawn[0], attempt=one.attempt)
            for one, customer, drawn in zip(asked, facts.customers, ids, strict=True)
        ]
        return await self.fetch.until_decided(asked[0].snapshot, live, decisions, company)

    def _instant(self, asked: Sequence[Asked]) -> int:
        """Return the instant of the decisions: now, or that of an earlier attempt that services have been told of."""
        told = asked[0].attempt.told if asked[0].attempt else None
        return self.now_ms() if told is None else told.now_ms

    async def _load(self, asked: Sequence[Asked], now_ms: int) -> list[CustomerRecord]:
        first = asked[0]
        return await self.facts.load(
            first.tenant_id,
            [one.customer_id for one in asked],
            first.live.needs,
            first.snapshot.sources,
            now_ms,
            fresh=first.is_fresh,
        )

    async def _counted(self, asked: Asked, now_ms: int) -> TenantCounts | None:
        """Return what is counted over all customers, and what models learned; None where no form looks at it."""
        needs = asked.snapshot.counting(asked.live)
        if not (needs.counters or needs.evidence or needs.learned):
            return None
        return await self.facts.store.counted(asked.tenant_id, needs, current_periods(now_ms, asked.snapshot.zone))


def _with_counted(facts: Facts, live: LiveFlow, loaded: _Loaded) -> Facts:
    """Return the facts with what is counted over all customers and learned, as this form of the flow reads it."""
    flow, counts = live.compiled, loaded.counts
    if counts is None:
        return facts
    return replace(facts, counters=counters_of(flow, counts, loaded.now_ms), learned=learned_of(flow, counts.learned))


def _assigned(decided: DecidedCustomer) -> dict[str, tuple[str, int]]:
    """Return the assignment that a decision has made, by experiment."""
    made = decided.assignment
    return {} if made is None else {made.experiment_key: (made.variant, made.expires_at_ms)}


def _facts(
    asked: Sequence[Asked],
    records: Sequence[CustomerRecord],
    live: LiveFlow,
    loaded: _Loaded,
    decision_ids: Sequence[str],
) -> Facts:
    """Return all that is known for these decisions."""
    customers = [build_customer_facts(*each, live) for each in zip(asked, records, strict=True)]
    facts = Facts(
        customers=customers,
        segments=_segments(asked, records, customers, live),
        contacts=contacts_of(live.compiled, [record.history for record in records]),
        seeds=[seed_of(decision_id) for decision_id in decision_ids],
        fetched=[one.attempt.fetched if one.attempt else {} for one in asked] if live.calls_out else (),
        shadowed=_shadowed(asked[0], live, decision_ids) if loaded.is_recorded else None,
    )
    return _with_counted(facts, live, loaded)


def _segments(
    asked: Sequence[Asked], records: Sequence[CustomerRecord], customers: Sequence[CustomerFacts], live: LiveFlow
) -> list[frozenset[str]]:
    """Return the segments of each customer: those that the request tells, and the stored ones."""
    return [
        segments_of(one.request, facts) | stored
        for one, facts, stored in zip(asked, customers, tags_of(live.segments, records), strict=True)
    ]


def _shadowed(asked: Asked, live: LiveFlow, decision_ids: Sequence[str]) -> Mask | None:
    """Return whose decisions will be traced, None without shadows: they work for traces alone."""
    if not live.compiled.shadows:
        return None
    return np.array([is_traced(asked.snapshot.settings, decision_id) for decision_id in decision_ids], np.bool_)


def _drawn(asked: Sequence[Asked], now_ms: int) -> list[list[str]]:
    """Return the ids of the decisions and of their events."""
    attempt = asked[0].attempt
    if attempt is None or not attempt.is_alone:
        return draw_ids(now_ms, len(asked))
    if attempt.told is None:
        attempt.told = Told(now_ms=now_ms, ids=draw_ids(now_ms, 1)[0])
    return [attempt.told.ids]


def _ticks() -> float:
    return time.perf_counter() * 1000


def _decision_request(request: RecommendRequest, now_ms: int) -> DecisionRequest:
    return DecisionRequest(
        now_ms=now_ms,
        limit=request.limit,
        routing=request.routing,
        deduplicate=request.deduplicate,
        excluded_offers=frozenset(request.exclude_offers),
        excluded_creatives=frozenset(request.exclude_creatives),
    )
