"""Eligibility: every offer for one customer now, with what each rule and policy says; nothing is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from kaireon_application.decisioning.recommend import Recommend
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_application.decisioning.why_not import MAX_LIMIT, scope_of
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.explain import OfferExplanation, PartOutcome, PartResult, explain_offers


class RuleResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one qualification rule says of an offer."""

    rule_id: str
    rule_name: str
    rule_type: str
    scope: str
    eligible: bool
    reason: str


class PolicyResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one contact policy says of an offer."""

    policy_id: str
    policy_name: str
    policy_type: str
    scope: str
    blocked: bool
    reason: str


class OfferEligibility(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether one offer may be shown to the customer, and why; `score` and `rank` are null where it may not."""

    offer_id: str
    offer_name: str
    offer_key: str
    category: str | None
    sub_category: str | None
    priority: float
    eligible: bool
    primary_reason: str
    score: float | None
    rank: int | None
    schedule_blocked: bool
    schedule_reason: str | None
    qualification_passed: bool
    failed_rules: list[RuleResult]
    passed_rules: list[RuleResult]
    all_rule_results: list[RuleResult]
    contact_policy_blocked: bool
    blocked_policies: list[PolicyResult]
    all_policy_results: list[PolicyResult]
    has_creatives: bool
    creative_count: int


class EligibilitySummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Offers counted; one may fail for several reasons."""

    total_offers: int
    eligible_count: int
    ineligible_count: int
    failed_qualification: int
    blocked_by_contact_policy: int
    blocked_by_schedule: int
    no_creatives: int


class Eligibility(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every offer for one customer."""

    customer_id: str
    customer: dict[str, Any]
    evaluated_at: datetime
    decision_flow_key: str
    summary: EligibilitySummary
    offers: list[OfferEligibility]


async def explain_eligibility(recommend: Recommend, tenant_id: str, request: RecommendRequest) -> Eligibility:
    """Return the eligibility of all offers. Raises `NotFound` for an unknown flow."""
    asked, decided = await recommend.prepare(tenant_id, msgspec.structs.replace(request, limit=MAX_LIMIT))
    snapshot, live = asked.snapshot, asked.live
    everything = range(len(live.compiled.candidates.catalogue.offers))
    # In a thread: with thousands of offers this takes longer than other requests should wait.
    explained = await asyncio.to_thread(explain_offers, live.compiled, decided.request, decided.alone(live), everything)
    offers = _offers(snapshot, explained)
    return Eligibility(
        customer_id=request.customer_id,
        customer=dict(decided.facts.customer),
        evaluated_at=datetime.fromtimestamp(decided.request.now_ms / 1000, UTC),
        decision_flow_key=live.published.key,
        summary=_summary(offers),
        offers=offers,
    )


def _offers(snapshot: TenantSnapshot, explained: Sequence[OfferExplanation]) -> list[OfferEligibility]:
    catalogue = snapshot.configuration.catalogue
    creatives = dict[str, int]()
    for creative in catalogue.creatives:
        if creative.status == "active":
            offer_id = str(creative.body.get("offerId"))
            creatives[offer_id] = creatives.get(offer_id, 0) + 1
    return [
        _offer(snapshot, offer, explanation, creatives.get(offer.id, 0))
        for offer, explanation in zip(catalogue.offers, explained, strict=True)
    ]


def _offer(
    snapshot: TenantSnapshot, offer: Document, explanation: OfferExplanation, creative_count: int
) -> OfferEligibility:
    rules = [_rule(one) for one in explanation.rules if one.result is not PartResult.SKIPPED]
    policies = [_policy(one) for one in explanation.policies if one.result is not PartResult.SKIPPED]
    failed, blocked = [one for one in rules if not one.eligible], [one for one in policies if one.blocked]
    category = snapshot.find("categories", offer.body.get("categoryId"))
    sub_category = snapshot.find("sub_categories", offer.body.get("subCategoryId"))
    reason = explanation.reason
    is_unscheduled = reason is not None and reason.type == "schedule"
    return OfferEligibility(
        offer_id=offer.id,
        offer_name=offer.name,
        offer_key=offer.key,
        category=category.name if category else None,
        sub_category=sub_category.name if sub_category else None,
        priority=float(offer.body.get("priority", 50)),
        eligible=reason is None,
        primary_reason=_primary_reason(explanation),
        score=explanation.score,
        rank=explanation.rank,
        schedule_blocked=is_unscheduled,
        schedule_reason=reason.message if reason is not None and is_unscheduled else None,
        qualification_passed=not failed,
        failed_rules=failed,
        passed_rules=[one for one in rules if one.eligible],
        all_rule_results=rules,
        contact_policy_blocked=bool(blocked),
        blocked_policies=blocked,
        all_policy_results=policies,
        has_creatives=creative_count > 0,
        creative_count=creative_count,
    )


def _primary_reason(explanation: OfferExplanation) -> str:
    reason = explanation.reason
    if reason is None:
        return "All rules passed"
    return f"Failed: {reason.entity_name or reason.message}"


def _rule(outcome: PartOutcome) -> RuleResult:
    document = outcome.document
    return RuleResult(
        rule_id=document.id,
        rule_name=document.name,
        rule_type=str(document.body.get("ruleType")),
        scope=scope_of(document.body, "global"),
        eligible=outcome.result is PartResult.PASSED,
        reason=outcome.reason,
    )


def _policy(outcome: PartOutcome) -> PolicyResult:
    document = outcome.document
    return PolicyResult(
        policy_id=document.id,
        policy_name=document.name,
        policy_type=str(document.body.get("ruleType")),
        scope=scope_of(document.body, "offer"),
        blocked=outcome.result is PartResult.BLOCKED,
        reason=outcome.reason,
    )


def _summary(offers: Sequence[OfferEligibility]) -> EligibilitySummary:
    eligible = sum(one.eligible for one in offers)
    return EligibilitySummary(
        total_offers=len(offers),
        eligible_count=eligible,
        ineligible_count=len(offers) - eligible,
        failed_qualification=sum(not one.qualification_passed for one in offers),
        blocked_by_contact_policy=sum(one.contact_policy_blocked for one in offers),
        blocked_by_schedule=sum(one.schedule_blocked for one in offers),
        no_creatives=sum(not one.has_creatives for one in offers),
    )
