"""The shop that is measured: offers with one creative each, 20 rules, 10 policies, and customers with a history."""

from __future__ import annotations

from typing import Any

import msgspec

from kaireon_application.decisioning.facts import ContactRow
from kaireon_application.decisioning.snapshot import (
    Configuration,
    DecisionSettings,
    LiveFlow,
    PublishedFlow,
    TenantSnapshot,
    build_snapshot,
)
from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.decisioning.parse_flow import parse_flow

# 2026-03-18T10:00Z, a Wednesday: inside of every window.
NOW_MS = 1_773_828_000_000
HOUR_MS = 3_600_000
LIMIT = 5
_CATEGORIES = 10
_CHANNELS = ("mail", "app")
_BRANDS = ("acorn", "birch", "cedar", "dahlia", "elm")
_COUNTRIES = ("AT", "DE", "FR", "IT", "PL")
_CONTACTS = 12


class Rule(msgspec.Struct, frozen=True):
    """`attribute operator value` must hold in a category (None: everywhere); names are as in a flow."""

    attribute: str
    operator: str
    value: Any
    category: str | None = None


# Fourteen look at the customer and six at the offer; every one of them drops somebody's candidates.
RULES: tuple[Rule, ...] = (
    Rule("age", "gte", 18, "c1"),
    Rule("country", "in", ["AT", "DE", "FR"], "c2"),
    Rule("balance", "gt", 100.5, "c3"),
    Rule("tenure_months", "gte", 12, "c4"),
    Rule("churn_risk", "lt", 0.7, "c5"),
    Rule("has_app", "eq", value=True, category="c6"),
    Rule("country", "neq", "PL", "c7"),
    Rule("baskets", "lte", 30, "c8"),
    Rule("visits", "gte", 2, "c9"),
    Rule("spend", "gt", 20, "c1"),
    Rule("age", "lte", 70, "c2"),
    Rule("is_blocked", "eq", value=False),
    Rule("segments", "contains", "club", "c3"),
    Rule("segments", "contains", "reachable", "c6"),
    Rule("offer.price", "lte", 95),
    Rule("offer.margin", "gte", 0.05),
    Rule("offer.brand", "neq", "elm", "c0"),
    Rule("offer.stock", "gt", 3),
    Rule("offer.price", "gt", 10, "c4"),
    Rule("offer.margin", "lt", 0.9, "c8"),
)

_POLICIES: tuple[tuple[str, str, str | None, dict[str, Any]], ...] = (
    ("frequency_cap", "global", None, {"maxPerDay": 20}),
    ("frequency_cap", "global", None, {"maxPerDay": 2, "perOffer": True}),
    ("cross_channel_cap", "channel", "mail", {"maxPerWeek": 40}),
    ("customer_total_cap", "global", None, {"maxPerMonth": 100}),
    ("frequency_cap", "category", "c5", {"maxTotal": 3, "lookbackHours": 168}),
    ("cooldown", "channel", "app", {"cooldownHours": 1}),
    ("cooldown", "global", None, {"cooldownHours": 12, "perOffer": True}),
    ("segment_exclusion", "category", "c7", {"excludeSegments": ["club"]}),
    ("time_window", "global", None, {"allowedDays": [1, 2, 3, 4, 5], "startHour": 6, "endHour": 22}),
    ("mutual_exclusion", "offer", None, {"offerGroup": ["o0", "o10", "o20"]}),
)

_NODES = (
    {"id": "inventory", "type": "inventory"},
    {"id": "match", "type": "match_creatives"},
    {"id": "qualify", "type": "qualify"},
    {"id": "policies", "type": "contact_policy"},
    {"id": "score", "type": "score"},
    {"id": "rank", "type": "rank"},
    {"id": "response", "type": "response"},
)


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer: stored attributes, segments, and contacts as (offer, creative, channel, at_ms, count)."""

    id: str
    attributes: dict[str, Any]
    segments: frozenset[str]
    contacts: list[ContactRow]


def built(offers: int, *, with_policies: bool = True) -> tuple[TenantSnapshot, LiveFlow]:
    """Return the shop with so many offers, and its flow in executable form."""
    nodes = [node for node in _NODES if with_policies or node["id"] != "policies"]
    published = PublishedFlow(
        id="00000000-0000-7000-8000-00000000f100",
        key="micro",
        name="micro",
        status="active",
        version=1,
        flow=parse_flow({"version": 2, "nodes": nodes}),
        published_at="2026-01-01T00:00:00+00:00",
    )
    snapshot = build_snapshot(
        Configuration(
            tenant_id="00000000-0000-7000-8000-000000000001",
            config_version=1,
            settings=DecisionSettings(),
            catalogue=_catalogue(offers),
            outcome_types=(),
            flows=(published,),
            routes=(),
            model_origins={},
            models={},
            schema_tables={},
        )
    )
    return snapshot, snapshot.live(published)


def offer_fields(number: int) -> dict[str, Any]:
    """Return what rules read of an offer."""
    return {
        "category": f"c{number % _CATEGORIES}",
        "price": (number * 37) % 100,
        "margin": ((number * 53) % 100) / 100,
        "brand": _BRANDS[number // _CATEGORIES % len(_BRANDS)],
        "stock": (number * 29) % 50,
    }


def customers(count: int, offers: int) -> list[Customer]:
    """Return so many customers, all different."""
    return [_customer(number, offers) for number in range(count)]


def _customer(number: int, offers: int) -> Customer:
    segments = [name for name, every in (("club", 2), ("reachable", 3), ("new", 7)) if number % every]
    channel = _CHANNELS[number % len(_CHANNELS)]
    return Customer(
        id=f"customer-{number}",
        attributes={
            "age": 16 + (number * 3) % 67,
            "country": _COUNTRIES[number % len(_COUNTRIES)],
            "balance": (number * 31) % 400 + 0.25,
            "tenure_months": (number * 11) % 60,
            "churn_risk": ((number * 17) % 100) / 100,
            "has_app": number % 4 != 0,
            "baskets": (number * 3) % 40,
            "visits": number % 9,
            "spend": float((number * 13) % 200),
            "is_blocked": number % 50 == _CONTACTS,
            "segments": segments,
        },
        segments=frozenset(segments),
        contacts=[
            (
                f"o{(number * 5 + place * 9) % offers}",
                f"k{(number * 5 + place * 9) % offers}",
                channel,
                NOW_MS - place * 7 * HOUR_MS - HOUR_MS // 2,
                1,
            )
            for place in range(_CONTACTS)
        ],
    )


def _catalogue(offers: int) -> Catalogue:
    numbers = range(offers)
    return Catalogue(
        offers=tuple(_offer(number) for number in numbers),
        creatives=tuple(
            _document(f"k{number}", {"offerId": f"o{number}", "channelId": _CHANNELS[number % 2], "weight": 100})
            for number in numbers
        ),
        channels=tuple(_document(name, {"channelType": name, "impressionMode": "explicit"}) for name in _CHANNELS),
        categories=tuple(_document(f"c{number}", {}) for number in range(_CATEGORIES)),
        qualification_rules=tuple(_rule(number, rule) for number, rule in enumerate(RULES)),
        contact_policies=_policies(),
    )


def _offer(number: int) -> Document:
    fields = offer_fields(number)
    body = {"categoryId": fields.pop("category"), "priority": (number * 61) % 101, "customFields": fields}
    return _document(f"o{number}", body)


def _rule(number: int, rule: Rule) -> Document:
    type_ = "offer_attribute" if rule.attribute.startswith("offer.") else "attribute_condition"
    config = {"attribute": rule.attribute, "operator": rule.operator, "value": rule.value}
    return _document(f"r{number:02}", _scoped(type_, "category" if rule.category else "global", rule.category, config))


def _policies() -> tuple[Document, ...]:
    return tuple(_document(f"p{number}", _scoped(*policy)) for number, policy in enumerate(_POLICIES))


def _scoped(type_: str, scope: str, scope_id: str | None, config: dict[str, Any]) -> dict[str, Any]:
    return {"ruleType": type_, "scope": scope, "scopeId": scope_id, "config": config, "priority": 50}


def _document(id_: str, body: dict[str, Any]) -> Document:
    return Document(id=id_, key=id_, name=id_, status="active", body=body)
