"""Qualification rules and contact policies of the pack: made up, on top of real attributes and history."""

from __future__ import annotations

from typing import Any

from kaireon_worker.samples.completejourney.catalogue import DIRECT_MAIL, EMAIL
from kaireon_worker.samples.definition import Definition, Identities


def qualification_rules(ids: Identities) -> list[Definition]:
    """Return the rules: hard ones (`eligibility`) drop an offer, `fit` ones lower its score."""
    mail = {"scope": "channel", "scopeId": ids.text("channel", DIRECT_MAIL)}
    meat = {"scope": "category", "scopeId": ids.text("category", "cj-meat-seafood")}
    floral = {"scope": "subcategory", "scopeId": ids.text("sub_category", "cj-floral")}
    produce = {"scope": "subcategory", "scopeId": ids.text("sub_category", "cj-produce")}
    cosmetics = {"scope": "subcategory", "scopeId": ids.text("sub_category", "cj-cosmetics")}
    insiders = {"scope": "offer", "scopeId": ids.text("offer", "cj-15-grocery")}
    return [
        _rule(
            "No mail to lost households",
            "Postage is not spent on households that have not shopped for a quarter.",
            {**mail, "ruleType": "attribute_condition", "stage": "eligibility", "priority": 90},
            {"attribute": "recency_days", "operator": "lte", "value": 90},
        ),
        _rule(
            "Meat and seafood for those who buy it",
            "A household that bought none in eight weeks gets no coupons for it.",
            {**meat, "ruleType": "attribute_condition", "stage": "eligibility", "priority": 80},
            {"attribute": "share_meat", "operator": "gt", "value": 0},
        ),
        _rule(
            "Campaign 15 for coupon users",
            "The smallest campaign of the year went to seventeen households; here it is kept for coupon users.",
            {**insiders, "ruleType": "segment_required", "stage": "eligibility", "priority": 70},
            {"requiredSegments": ["coupon_user"]},
        ),
        _rule(
            "Enough products to choose from",
            "An offer must cover at least five products.",
            {"scope": "global", "ruleType": "offer_attribute", "stage": "eligibility", "priority": 60},
            {"attribute": "customFields.product_count", "operator": "gte", "value": 5},
        ),
        _rule(
            "Produce suits produce buyers",
            "Below two percent of spend on produce, produce coupons count six tenths.",
            {**produce, "ruleType": "attribute_condition", "stage": "fit", "priority": 50},
            {"attribute": "share_produce", "operator": "gte", "value": 0.02, "fitMultiplier": 0.6},
        ),
        _rule(
            "Cosmetics and flowers suit the best customers",
            "For all others they count seven tenths.",
            {
                "scopes": [cosmetics, floral],
                "ruleType": "segment_required",
                "stage": "fit",
                "priority": 40,
            },
            {"requiredSegments": ["high_value"], "fitMultiplier": 0.7},
        ),
        _rule(
            "Household care suits regular shoppers",
            "Below one basket a week, coupons for household and care count eight tenths.",
            {
                "scope": "category",
                "scopeId": ids.text("category", "cj-household-care"),
                "ruleType": "attribute_condition",
                "stage": "fit",
                "priority": 30,
            },
            {"attribute": "baskets_8w", "operator": "gte", "value": 8, "fitMultiplier": 0.8},
        ),
    ]


def contact_policies(ids: Identities) -> list[Definition]:
    """Return the policies: caps for a household, an offer, a channel, a category and a segment, and two cooldowns."""
    mail = {"scope": "channel", "scopeId": ids.text("channel", DIRECT_MAIL)}
    email = {"scope": "channel", "scopeId": ids.text("channel", EMAIL)}
    meat = {"scope": "category", "scopeId": ids.text("category", "cj-meat-seafood")}
    return [
        _policy(
            "At most 20 contacts a day",
            "Over all channels and offers.",
            {"scope": "global", "ruleType": "frequency_cap", "priority": 90},
            {"maxPerDay": 20},
        ),
        _policy(
            "Each offer at most twice a day",
            "So that a third visit shows something else.",
            {"scope": "global", "ruleType": "frequency_cap", "priority": 80},
            {"maxPerDay": 2, "perOffer": True},
        ),
        _policy(
            "One mailing a week",
            "What was mailed in the last seven days, by the history too, keeps the next mailing back.",
            {**mail, "ruleType": "cooldown", "priority": 70},
            {"cooldownHours": 168},
        ),
        _policy(
            "Email at most ten offers a week",
            "A rolling week.",
            {**email, "ruleType": "frequency_cap", "priority": 60},
            {"maxTotal": 10, "lookbackHours": 168},
        ),
        _policy(
            "Meat and seafood at most six times a month",
            "Calendar months.",
            {**meat, "ruleType": "frequency_cap", "priority": 50},
            {"maxPerMonth": 6},
        ),
        _policy(
            "Lapsing households at most 12 contacts a week",
            "Win them back without wearing them out.",
            {"scope": "segment", "scopeId": "lapsing", "ruleType": "frequency_cap", "priority": 40},
            {"maxPerWeek": 12},
        ),
    ]


def _rule(name: str, description: str, wire: dict[str, Any], config: dict[str, Any]) -> Definition:
    return _named("qualification_rule", name, {"description": description, **wire, "config": config})


def _policy(name: str, description: str, wire: dict[str, Any], config: dict[str, Any]) -> Definition:
    return _named("contact_policy", name, {"description": description, **wire, "config": config})


def _named(kind: str, name: str, wire: dict[str, Any]) -> Definition:
    return Definition(kind=kind, key=f"cj-{name.lower().replace(' ', '-')}", name=name, wire=wire)
