"""Why (not): what every rule and policy says of one offer for one customer, now; nothing is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from kaireon_application.decisioning.recommend import Recommend
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_application.errors import NotFound
from kaireon_core.decisioning.explain import OfferExplanation, PartOutcome, PartResult, explain_offer

MAX_LIMIT = 50


class PartDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one rule or policy says of the offer."""

    rule_id: str
    rule_name: str
    rule_type: str
    scope: str
    applies: bool
    result: PartResult
    reason: str


class PartSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What all rules or all policies say of the offer."""

    total: int
    passed: int
    blocked: int
    skipped: int
    details: list[PartDetail]


class WhyNot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether an offer may be shown to a customer, and why."""

    customer_id: str
    offer_id: str
    offer_key: str
    offer_name: str
    offer_status: str
    product_type: str | None
    category: str | None
    verdict: Literal["eligible", "blocked"]
    summary: str
    stage: str | None
    decision_flow_key: str
    score: float | None
    rank: int | None
    qualification: PartSummary
    contact_policies: PartSummary


async def explain_why_not(
    recommend: Recommend, tenant_id: str, request: RecommendRequest, offer_reference: str
) -> WhyNot:
    """Return the explanation. Raises `NotFound` for an unknown offer or flow."""
    asked, decided = await recommend.prepare(tenant_id, msgspec.structs.replace(request, limit=MAX_LIMIT))
    snapshot, live = asked.snapshot, asked.live
    offer = snapshot.find("offers", offer_reference)
    if offer is None:
        raise NotFound(f"there is no offer '{offer_reference}' in this tenant")
    explanation = explain_offer(
        live.compiled, decided.request, decided.alone(live), live.compiled.offer_index[offer.id]
    )
    category = snapshot.find("categories", offer.body.get("categoryId"))
    return WhyNot(
        customer_id=request.customer_id,
        offer_id=offer.id,
        offer_key=offer.key,
        offer_name=offer.name,
        offer_status=offer.status,
        product_type=offer.body.get("productType"),
        category=category.name if category else None,
        verdict="eligible" if explanation.reason is None else "blocked",
        summary=_summary(explanation),
        stage=explanation.reason.stage if explanation.reason else None,
        decision_flow_key=live.published.key,
        score=explanation.score,
        rank=explanation.rank,
        qualification=_parts(explanation.rules, "global"),
        contact_policies=_parts(explanation.policies, "offer"),
    )


_PLACES = {
    "qualify": "Blocked by qualification rule",
    "contact_policy": "Blocked by contact policy",
}


def _summary(explanation: OfferExplanation) -> str:
    reason = explanation.reason
    if reason is None:
        shown = f"recommended at rank {explanation.rank}" if explanation.rank else "outranked by other offers"
        return f"Eligible: {shown}"
    place = _PLACES.get(reason.stage)
    return f"{place}: {reason.entity_name}" if place else f"Blocked by {reason.stage}: {reason.message}"


def _parts(outcomes: Sequence[PartOutcome], default_scope: str) -> PartSummary:
    details = [
        PartDetail(
            rule_id=outcome.document.id,
            rule_name=outcome.document.name,
            rule_type=str(outcome.document.body.get("ruleType")),
            scope=scope_of(outcome.document.body, default_scope),
            applies=outcome.result is not PartResult.SKIPPED,
            result=outcome.result,
            reason=outcome.reason,
        )
        for outcome in outcomes
    ]
    counted = {result: sum(one.result is result for one in details) for result in PartResult}
    return PartSummary(
        total=len(details),
        passed=counted[PartResult.PASSED],
        blocked=counted[PartResult.BLOCKED],
        skipped=counted[PartResult.SKIPPED],
        details=details,
    )


def scope_of(body: dict[str, Any], default: str) -> str:
    """Return the kinds of scope of a rule or policy, as they are shown."""
    scopes: list[dict[str, Any]] = body.get("scopes") or [{"scope": body.get("scope") or default}]
    return ", ".join(str(one["scope"]) for one in scopes)
