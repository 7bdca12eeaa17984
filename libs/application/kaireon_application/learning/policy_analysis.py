"""The policy recommender: contact policies that a tenant's own history speaks for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities
from kaireon_application.errors import InvalidInput, NotFound
from kaireon_application.learning.analysis import Analysis, Engine, PoliciesPlan, PoliciesRequest
from kaireon_core.learning.analysis import Rate, rate_of
from kaireon_core.learning.contact_history import ContactHistory, Happening, contact_history
from kaireon_core.learning.policy_advice import (
    LEAST_CONTACTS,
    LEAST_POSITIVES,
    PolicyAdvice,
    PolicyEvidence,
    Verdict,
    advise_policies,
    has_evidence,
)

# The scopes that interactions name; what else a policy may cover is not told apart here.
SCOPES = ("global", "channel", "offer", "creative")


class ContactQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose interactions to read: of a period, and of one channel, offer or creative or of all."""

    since: datetime
    until: datetime
    channel_id: str | None = None
    offer_id: str | None = None
    creative_id: str | None = None


class ContactSample(msgspec.Struct, frozen=True, kw_only=True):
    """The interactions of some customers, customer by customer in order, and how many interactions there are."""

    happenings: list[Happening]
    total: int


class ContactSamples(Protocol):
    """Reads interactions. Both raise `Unavailable` while the storage is down or too slow."""

    async def count_contacts(self, tenant_id: UUID, query: ContactQuery) -> int:
        """Return how many interactions there are."""
        ...

    async def sample_contacts(self, tenant_id: UUID, query: ContactQuery, seed: int, limit: int) -> ContactSample:
        """Return those of as many whole customers as there is room for, the same ones for the same seed."""
        ...


class SuggestedPolicy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A body for `POST /contact-policies`; a draft, so that nothing is blocked before somebody has looked."""

    name: str
    description: str
    rule_type: str
    config: dict[str, Any]
    scope: str
    scope_id: str | None
    status: str = "draft"


class PolicySuggestion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One policy and why; `contactShare` of the contacts it would have blocked, with `positiveShare` of the answers."""

    policy: SuggestedPolicy
    contact_share: float
    positive_share: float
    evidence: PolicyEvidence


class PolicyAnalysis(Analysis, frozen=True, kw_only=True):
    """The answer: suggestions by strength of evidence, or in `message` why there are none."""

    verdict: Verdict
    message: str
    customers: int
    contacts: Rate
    suggestions: list[PolicySuggestion]


async def checked_scope(entities: Entities, tenant_id: UUID, request: PoliciesRequest) -> PoliciesRequest:
    """Return the request with the id of what its scope names. Raises `InvalidInput`, `NotFound`."""
    if request.scope not in SCOPES:
        raise InvalidInput.at("$.scope", f"must be one of {', '.join(SCOPES)}")
    if request.scope == "global":
        return msgspec.structs.replace(request, scope_id=None)
    if request.scope_id is None:
        raise InvalidInput.at("$.scopeId", "is required for a scope other than global")
    async with entities.reading(tenant_id) as reader:
        found = (await reader.find(request.scope, [request.scope_id])).get(request.scope_id)
    if found is None:
        raise NotFound.reference("$.scopeId", f"there is no {request.scope} {request.scope_id!r} in this tenant")
    return msgspec.structs.replace(request, scope_id=str(found.id))


def contact_query(plan: PoliciesPlan) -> ContactQuery:
    """Return which interactions a plan is about."""
    request = plan.request
    named = {} if request.scope_id is None else {f"{request.scope}_id": request.scope_id}
    return ContactQuery(since=plan.at - timedelta(days=request.lookback_days), until=plan.at, **named)


def recommend_policies(sample: ContactSample, plan: PoliciesPlan, engine: Engine) -> PolicyAnalysis:
    """Return what the contacts of these customers speak for."""
    history = contact_history(sample.happenings)
    advice = advise_policies(history)
    verdict, message = _verdict(history, advice)
    return PolicyAnalysis(
        engine=engine,
        sampled=len(sample.happenings) < sample.total,
        sample_size=len(sample.happenings),
        total_rows=sample.total,
        seed=plan.request.seed,
        verdict=verdict,
        message=message,
        customers=len(set(history.customers.tolist())),
        contacts=rate_of(int(history.is_positive.sum()), len(history)),
        suggestions=[_suggestion(plan.request, one, history) for one in advice],
    )


def _verdict(history: ContactHistory, advice: list[PolicyAdvice]) -> tuple[Verdict, str]:
    if not has_evidence(history):
        told = f"{len(history)} contacts with {int(history.is_positive.sum())} positive answers say too little"
        needed = f"at least {LEAST_CONTACTS} and {LEAST_POSITIVES} are needed"
        return Verdict.TOO_LITTLE_EVIDENCE, f"{told}; {needed}"
    if not advice:
        return Verdict.NO_EFFECT, "no cap, cooldown or suppression would have blocked contacts that were answered less"
    return Verdict.SUGGESTED, f"{len(advice)} policies would have blocked contacts that were answered less"


def _suggestion(request: PoliciesRequest, advice: PolicyAdvice, history: ContactHistory) -> PolicySuggestion:
    evidence = advice.evidence
    blocked, same = evidence.blocked, evidence.same_customers
    told = (
        f"Suggested by the policy recommender: {blocked.count} contacts beyond it were answered positively at"
        f" {blocked.rate or 0:.2%}, {same.count} others of the same customers at {same.rate or 0:.2%}."
    )
    return PolicySuggestion(
        policy=SuggestedPolicy(
            name=_name(advice),
            description=told,
            rule_type=advice.rule_type,
            config=advice.config,
            scope=request.scope,
            scope_id=request.scope_id,
        ),
        contact_share=blocked.count / len(history),
        positive_share=blocked.positives / int(history.is_positive.sum()),
        evidence=evidence,
    )


_LONGEST_NAME = 255
_NAMES = {
    "maxPerDay": "At most {} contacts a day",
    "maxPerWeek": "At most {} contacts a week",
    "maxPerMonth": "At most {} contacts a month",
    "cooldownHours": "{} hours between contacts",
    "suppressForDays": "{} days of silence after {}",
}


def _name(advice: PolicyAdvice) -> str:
    field, limit = next((name, value) for name, value in advice.config.items() if name in _NAMES)
    return _NAMES[field].format(limit, advice.config.get("afterOutcome"))[:_LONGEST_NAME]
