"""Qualification rules and contact policies of the pack: made up, on top of real attributes and history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from kaireon_worker.samples.completejourney.catalogue import DIRECT_MAIL, EMAIL
from kaireon_worker.samples.definition import Definition, Identities

# A scope, and the key of the thing of that kind.
_Scope: TypeAlias = tuple[str, str]

_MAIL: _Scope = ("channel", DIRECT_MAIL)
_EMAIL: _Scope = ("channel", EMAIL)
_MEAT: _Scope = ("category", "cj-meat-seafood")
_HOUSEHOLD: _Scope = ("category", "cj-household-care")
_FLORAL: _Scope = ("subcategory", "cj-floral")
_PRODUCE: _Scope = ("subcategory", "cj-produce")
_COSMETICS: _Scope = ("subcategory", "cj-cosmetics")
_INSIDERS: _Scope = ("offer", "cj-15-grocery")
_LAPSING: _Scope = ("segment", "lapsing")


class _Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule or a policy; it holds for everything where `scopes` names nothing."""

    name: str
    description: str
    scopes: Sequence[_Scope] = ()
    terms: dict[str, Any]
    config: dict[str, Any]


_QUALIFICATION_RULES = (
    _Rule(
        name="No mail to lost households",
        description="Postage is not spent on households that have not shopped for a quarter.",
        scopes=(_MAIL,),
        terms={"ruleType": "attribute_condition", "stage": "eligibility", "priority": 90},
        config={"attribute": "recency_days", "operator": "lte", "value": 90},
    ),
    _Rule(
        name="Meat and seafood for those who buy it",
        description="A household that bought none in eight weeks gets no coupons for it.",
        scopes=(_MEAT,),
        terms={"ruleType": "attribute_condition", "stage": "eligibility", "priority": 80},
        config={"attribute": "share_meat", "operator": "gt", "value": 0},
    ),
    _Rule(
        name="Campaign 15 for coupon users",
        description="The smallest campaign of the year went to seventeen households; here it is kept for coupon users.",
        scopes=(_INSIDERS,),
        terms={"ruleType": "segment_required", "stage": "eligibility", "priority": 70},
        config={"requiredSegments": ["coupon_user"]},
    ),
    _Rule(
        name="Enough products to choose from",
        description="An offer must cover at least five products.",
        terms={"ruleType": "offer_attribute", "stage": "eligibility", "priority": 60},
        config={"attribute": "customFields.product_count", "operator": "gte", "value": 5},
    ),
    _Rule(
        name="Produce suits produce buyers",
        description="Below two percent of spend on produce, produce coupons count six tenths.",
        scopes=(_PRODUCE,),
        terms={"ruleType": "attribute_condition", "stage": "fit", "priority": 50},
        config={"attribute": "share_produce", "operator": "gte", "value": 0.02, "fitMultiplier": 0.6},
    ),
    _Rule(
        name="Cosmetics and flowers suit the best customers",
        description="For all others they count seven tenths.",
        scopes=(_COSMETICS, _FLORAL),
        terms={"ruleType": "segment_required", "stage": "fit", "priority": 40},
        config={"requiredSegments": ["high_value"], "fitMultiplier": 0.7},
    ),
    _Rule(
        name="Household care suits regular shoppers",
        description="Below one basket a week, coupons for household and care count eight tenths.",
        scopes=(_HOUSEHOLD,),
        terms={"ruleType": "attribute_condition", "stage": "fit", "priority": 30},
        config={"attribute": "baskets_8w", "operator": "gte", "value": 8, "fitMultiplier": 0.8},
    ),
)
_CONTACT_POLICIES = (
    _Rule(
        name="At most 20 contacts a day",
        description="Over all channels and offers.",
        terms={"ruleType": "frequency_cap", "priority": 90},
        config={"maxPerDay": 20},
    ),
    _Rule(
        name="Each offer at most twice a day",
        description="So that a third visit shows something else.",
        terms={"ruleType": "frequency_cap", "priority": 80},
        config={"maxPerDay": 2, "perOffer": True},
    ),
    _Rule(
        name="One mailing a week",
        description="What was mailed in the last seven days, by the history too, keeps the next mailing back.",
        scopes=(_MAIL,),
        terms={"ruleType": "cooldown", "priority": 70},
        config={"cooldownHours": 168},
    ),
    _Rule(
        name="Email at most ten offers a week",
        description="A rolling week.",
        scopes=(_EMAIL,),
        terms={"ruleType": "frequency_cap", "priority": 60},
        config={"maxTotal": 10, "lookbackHours": 168},
    ),
    _Rule(
        name="Meat and seafood at most six times a month",
        description="Calendar months.",
        scopes=(_MEAT,),
        terms={"ruleType": "frequency_cap", "priority": 50},
        config={"maxPerMonth": 6},
    ),
    _Rule(
        name="Lapsing households at most 12 contacts a week",
        description="Win them back without wearing them out.",
        scopes=(_LAPSING,),
        terms={"ruleType": "frequency_cap", "priority": 40},
        config={"maxPerWeek": 12},
    ),
)


def qualification_rules(ids: Identities) -> list[Definition]:
    """Return the rules: hard ones (`eligibility`) drop an offer, `fit` ones lower its score."""
    return [_definition("qualification_rule", rule, ids) for rule in _QUALIFICATION_RULES]


def contact_policies(ids: Identities) -> list[Definition]:
    """Return the policies: caps for a household, an offer, a channel, a category and a segment, and a cooldown."""
    return [_definition("contact_policy", rule, ids) for rule in _CONTACT_POLICIES]


def _definition(kind: str, rule: _Rule, ids: Identities) -> Definition:
    return Definition(
        kind=kind,
        key=f"cj-{rule.name.lower().replace(' ', '-')}",
        name=rule.name,
        wire={"description": rule.description, **_about(rule.scopes, ids), **rule.terms, "config": rule.config},
    )


def _about(scopes: Sequence[_Scope], ids: Identities) -> dict[str, Any]:
    named = [{"scope": scope, "scopeId": _id(scope, key, ids)} for scope, key in scopes]
    if len(named) > 1:
        return {"scopes": named}
    return named[0] if named else {"scope": "global"}


def _id(scope: str, key: str, ids: Identities) -> str:
    # Segments go by their name.
    return key if scope == "segment" else ids.text("sub_category" if scope == "subcategory" else scope, key)
