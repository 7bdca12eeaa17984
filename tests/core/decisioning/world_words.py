"""What random worlds are made of: few names and few values, so that everything collides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

Thing = dict[str, Any]

VALUES: list[Any] = [None, True, False, 0, 1, 2, 1.5, "", "a", "b", "ab", ["a"], ["b", 1], []]
LEAVES: list[Any] = [None, True, 0, 1, 1.5, "a", "b", "ab"]
RULE_OPERATORS = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "exists", "not_exists"]
FILTER_OPERATORS = [*RULE_OPERATORS[:9], "starts_with", "regex", "is_null", "is_not_null"]
CUSTOMER_NAMES = ["x", "x", "customer.x", "attributes.x", "context.x", "request.channel", "deep.x", "customer.y"]
OFFER_NAMES = ["offer.priority", "offer.tags", "offer.colour", "offer.key", "offer.categoryId"]
NAMES = [*CUSTOMER_NAMES, *OFFER_NAMES, "channel.channelType", "creative.weight", "placement.slotType"]
CREATED = ["2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"]
CHANNEL_TYPES = ["email", "web"]
SEGMENTS = ["gold", "new"]
CATEGORIES = ["cat0", "cat1"]
KEYS = ["ä", "z", "B", "a"]
# Around a change to summer time, a change back, and an ordinary month.
NOWS = [
    "2026-03-29T12:00:00+00:00",
    "2026-03-29T00:00:00+00:00",
    "2026-10-25T00:30:00+00:00",
    "2026-06-01T22:30:00+00:00",
    "2026-03-08T05:00:00+00:00",
]
ZONES = ["UTC", "Europe/Vienna", "America/New_York", "Africa/Cairo", "Asia/Kathmandu"]
# Minutes before now, many of them on the border of some window.
AGES = [0, 1, 59, 60, 61, 119, 120, 600, 1380, 1440, 1441, 1500, 2880, 7 * 1440, 20 * 1440, 40 * 1440, 90 * 1440]
# Days of bans; with the ages above, many bans end now.
BAN_DAYS = [1, 1, 2, 7, 20, 0.5, 1 / 24]
OUTCOMES = {"impression": "neutral", "click": "positive", "dismiss": "negative", "deferred": "neutral"}
# One that is paused, and three that may be named by id, key or name.
METRICS: list[Thing] = [
    {"id": "m0", "key": "clicks", "name": "Clicks"},
    {"id": "m1", "key": "spent", "name": "m0"},
    {"id": "m2", "key": "paused", "status": "paused"},
]
METRIC_NAMES = ["m0", "m0", "m1", "clicks", "spent", "Clicks", "m2", "paused", "gone"]
# How instants are written: with a zone, in another one, as a date, without a zone.
WRITTEN: list[Callable[[datetime], str]] = [
    datetime.isoformat,
    lambda at: at.astimezone(ZoneInfo("Asia/Kathmandu")).isoformat(),
    lambda at: at.date().isoformat(),
    lambda at: at.replace(tzinfo=None).isoformat(),
]
RECENCY_NAMES = ["seen", "seen", "customer.seen", "offer.since", "attributes.seen", "creative.made", "x"]
FOCUSES = [
    ["match"],
    ["match", "contact_policy"],
    ["match", "contact_policy"],
    ["contact_policy"],
    ["match", "qualify"],
    ["match", "qualify"],
    ["qualify"],
    ["match", "filter"],
    ["match", "filter", "qualify", "contact_policy"],
    ["match", "conditional"],
]
FORMULAS = [
    "priority / 100",
    "round(score * 2 - 0.1, 6)",
    "round(coalesce(propensity, 0.2) * (x > 0 ? 2 : 1), 6)",
    "colour == 'a' ? 0.9 : null",
    "x + colour",
    "round(offer.priority / 7, 2)",
    "concat(offer.key, '-', coalesce(x, 'none'), '-', creative.weight)",
    "customer.x",
    "deep.x == 1",
]
WEIGHTS: list[Thing] = [
    {},
    {"propensityWeight": 1, "relevanceWeight": 0, "impactWeight": 0, "emphasisWeight": 0},
    {"propensityWeight": 0, "relevanceWeight": 1, "impactWeight": 0, "emphasisWeight": 0},
    {"propensityWeight": 0.25, "relevanceWeight": 0.25, "impactWeight": 0.25, "emphasisWeight": 0.25},
    {"upliftWeight": 1.5, "clvWeight": 0.5},
    {"clvWeight": 2},
]
PROFILES: list[Thing] = [
    {
        "id": "rp0",
        "key": "krp0",
        "weights": {"propensity": 0.5, "conversion": 0.5, "impact": 0.25, "clv": 1, "uplift": 0.5},
    },
    {"id": "rp1", "key": "krp1", "weights": {"recency": 1, "fairness": 0.5, "margin": 0.5}},
    {"id": "rp2", "key": "krp2", "weights": {"fatigue": 0.5, "revenue": 1}},
    {"id": "rp3", "key": "krp3", "weights": {"relevance": 0.1, "emphasis": 0.3}},
]
OBJECTIVES = [
    *("propensity", "relevance", "impact", "emphasis", "diversity", "clv", "uplift"),
    *("revenue", "margin", "engagement", "conversion", "recency", "fairness", "fatigue"),
]
PROFILE_NAMES = ["rp0", "krp1", "rp2", "krp3", "gone"]
STRATEGY_OVERRIDES: list[Thing] = [
    {"scope": scope, "value": value, "profileId": profile}
    for scope, values in {
        "category": ["cat0", "kcat1", "gone"],
        "productType": ["loan", "card"],
        "channel": ["email", "web", "ch0", "gone"],
    }.items()
    for value in values
    for profile in PROFILE_NAMES
]
CHANNEL_MODELS: list[list[Thing]] = [
    [{"channelId": "ch0", "modelKey": "other"}],
    [{"channelId": "ch1", "modelKey": "gone"}, {"channelId": "ch1", "modelKey": "other"}],
    [{"channelId": "ch0", "modelKey": "other"}, {"channelId": "ch2", "modelKey": "card"}],
]
EXPLORATIONS: list[Thing] = [
    {"epsilon": 0.0},
    {"epsilon": 0.3},
    {"epsilon": 1.0},
    {"temperature": 0.01},
    {"temperature": 0.3},
    {"temperature": 1e6},
    {"temperature": 1e-6},
]
MASKS = ["priority > 20", "coalesce(x, 1) != 2", "score >= 0 ? true : false", "offer.key > 'a'", "colour == x"]
