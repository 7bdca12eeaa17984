"""Random small worlds: few names and few values, so that everything collides; most candidates reach the ranking.

A world is drawn from one number. Drawing each part with Hypothesis would shrink better, but it favours the smallest
parts, and then hardly anything is left to rank.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.core.decisioning import world_history as past
from tests.core.decisioning import world_words as words
from tests.core.decisioning.cases import Case
from tests.core.decisioning.world_calls import with_calls
from tests.core.decisioning.world_constraints import constrain
from tests.core.decisioning.world_ranking import RankingWorld

Thing = dict[str, Any]


@dataclass(slots=True)
class _World(RankingWorld):
    """Draws a case; what was drawn first is what later parts refer to."""

    now: str
    zone: str
    offers: list[str] = field(default_factory=list[str])
    creatives: list[Thing] = field(default_factory=list[Thing])

    def status(self) -> str:
        return self.pick(["paused", "draft"]) if self.happens(12) else "active"

    def instant(self) -> Any:
        """Return an instant around a whole number of days ago, or what is none."""
        if self.happens(6):
            return self.pick(["soon", "", 20260301, None, []])
        days = self.pick([-1, 0, 0.5, 1, 1, 2, 2, 30])
        at = datetime.fromisoformat(self.now) - timedelta(days=days, milliseconds=self.pick([-1, 0, 0, 1]))
        return self.pick(words.WRITTEN)(at)

    @property
    def offer_keys(self) -> list[str]:
        """Return keys, some of which offers have."""
        return [key + id_ for id_ in self.offers for key in words.KEYS]

    # --- catalogue

    def catalogue(self) -> dict[str, list[Thing]]:
        self.offers = [f"o{number}" for number in range(self.pick([0, 1, 3, 4, 5, 6, 6]))]
        offers = [self.offer(id_) for id_ in self.offers]
        count = self.pick([0, 5, 8, 9]) if offers else 0
        self.creatives = [self.creative(f"cr{number}") for number in range(count)]
        return {
            "offers": offers,
            "creatives": self.creatives,
            "channels": [self.channel(id_) for id_ in ("ch0", "ch1", "ch2")],
            "placements": [self.placement(id_) for id_ in ("p0", "p1", "p2")],
            "categories": [
                {"id": id_, "key": f"k{id_}", "customFields": self.custom_fields()} for id_ in words.CATEGORIES
            ],
            "sub_categories": [{"id": "sub0", "customFields": self.custom_fields()}],
            "behavioral_metrics": words.METRICS,
            "ranking_profiles": words.PROFILES,
            "qualification_rules": [self.rule(f"r{number}") for number in range(self.chance.randint(1, 3))],
            "contact_policies": [self.policy(f"p{number}") for number in range(self.chance.randint(1, 4))],
        }

    def offer(self, id_: str) -> Thing:
        schedule = {"startDate": "2026-03-29", "endDate": "2026-06-01T22:30:00"}
        return {
            "id": id_,
            "key": self.pick(words.KEYS) + id_,
            **self.maybe(2, "budget", [{"spent": value} for value in (0, 1, 1.5, 2, None, True, "2")]),
            "status": self.status(),
            "priority": self.pick([10, 50, 50, 60]),
            **self.maybe(2, "categoryId", words.CATEGORIES),
            **self.maybe(2, "subCategoryId", ["sub0"]),
            **self.maybe(2, "tags", [[], ["a"], ["a", "b"], ["gold"], ["new", "a"]]),
            **self.maybe(2, "businessValue", [0, 20, 100]),
            **self.maybe(2, "revenueValue", [0, 10.5, 99, -3, None]),
            **self.maybe(2, "margin", [0.1, 0.25, 1e300, None]),
            **self.maybe(3, "productType", ["loan", "card"]),
            "customFields": {**self.maybe(2, "colour", words.VALUES), "since": self.instant()},
            **self.maybe(16, "schedule", [schedule]),
            **self.maybe(50, "emergencyExcluded", [True]),
        }

    def channel(self, id_: str) -> Thing:
        coupling = self.maybe(2, "couplingMode", ["atomic", "atomic", "partial"])
        return {"id": id_, "status": self.status(), "channelType": self.pick(words.CHANNEL_TYPES), **coupling}

    def placement(self, id_: str) -> Thing:
        where = {"slotType": self.pick(["banner", "banner", "card"]), **self.maybe(3, "maxSlots", [1, 2])}
        return {"id": id_, "key": f"k{id_}", "channelId": self.pick(["ch0", "ch1", "gone"]), **where}

    def creative(self, id_: str) -> Thing:
        return {
            "id": id_,
            "name": self.pick(["same", "other"]),
            "offerId": self.pick(self.offers),
            "channelId": self.pick(["ch0", "ch1", "ch2"]),
            "placementId": self.pick(["p0", "p1", "p1", "p2", None]),
            "status": self.status(),
            "weight": self.pick([0, 50, 100, 100]),
            "made": self.instant(),
        }

    # --- rules and policies

    def scope(self) -> Thing:
        named: dict[str, list[str]] = {
            "offer": self.offers,
            "creative": [creative["id"] for creative in self.creatives],
            "channel": ["ch0", "ch1"],
            "placement": ["p0", "p1"],
            "category": words.CATEGORIES,
            "subcategory": ["sub0"],
            "segment": words.SEGMENTS,
        }
        kind = self.pick([*named, "global", "global"])
        return {"scope": kind, "scopeId": self.pick(named[kind])} if named.get(kind) else {"scope": "global"}

    def scoped(self, id_: str) -> Thing:
        return {
            "id": id_,
            "status": self.status(),
            "priority": self.pick([10, 50, 50, 60]),
            "createdAt": self.pick(words.CREATED),
            **self.scope(),
            **self.maybe(4, "scopes", [[self.scope(), self.scope()]]),
        }

    def condition(self, operators: list[str]) -> Thing:
        operator = self.pick(operators)
        operands: dict[str, Callable[[], Any]] = {
            "in": lambda: self.some(words.LEAVES, 3),
            "not_in": lambda: self.some(words.LEAVES, 3),
            "regex": lambda: self.pick(["a", "^b", "b$", "a|b", ""]),
        }
        return {"operator": operator, "value": operands.get(operator, lambda: self.pick(words.LEAVES))()}

    def rule(self, id_: str) -> Thing:
        offer_names = ["priority", "offer.colour", "tags", "categoryId"]
        configs: dict[str, Callable[[], Thing]] = {
            "attribute_condition": lambda: {
                "attribute": self.pick(words.NAMES),
                **self.condition(words.RULE_OPERATORS),
            },
            "offer_attribute": lambda: {"attribute": self.pick(offer_names), **self.condition(words.RULE_OPERATORS)},
            "segment_required": lambda: {"requiredSegments": self.some(words.SEGMENTS, 2)},
            "recency_check": lambda: {
                "attribute": self.pick(words.RECENCY_NAMES),
                "maxDays": self.pick([0.5, 1, 2, 40]),
            },
            "metric_condition": lambda: past.metric_condition(self.chance),
            "propensity_threshold": lambda: {
                "minScore": self.pick([0, 0.3, 0.5, 1]),
                **self.maybe(2, "model", ["card", "card", "gone", None]),
            },
        }
        rule_type = self.pick(["attribute_condition", *configs])
        config = configs[rule_type]()
        stage = self.pick(["fit", "fit", "qualification", "eligibility", "match", "ranking"])
        if stage == "fit":
            config |= self.maybe(2, "fitMultiplier", [0.1, 0.3, 1.0])
        return {**self.scoped(id_), "ruleType": rule_type, "config": config, "stage": stage}

    def policy(self, id_: str) -> Thing:
        config_of: dict[str, Callable[[], Thing]] = {
            "frequency_cap": lambda: {**self.cap(), **self.maybe(4, "perOffer", [True])},
            "cooldown": lambda: {"cooldownHours": self.pick([1, 2, 0.5, 24, 48]), **self.maybe(4, "perOffer", [True])},
            "cross_channel_cap": self.cap,
            "customer_total_cap": self.cap,
            "mutual_exclusion": lambda: {"offerGroup": self.some([*self.offers * 4, *self.offer_keys, "gone"], 5)},
            "segment_exclusion": lambda: {"excludeSegments": self.some(words.SEGMENTS, 2)},
            "time_window": lambda: past.time_window(self.chance),
            "budget_exhausted": lambda: {"budgetField": "spent", "threshold": self.pick([0, 1, 1.5, 2])},
            "allow_override": dict,
            **past.policies(self.chance),
            "telepathy": dict,
        }
        often = ["frequency_cap", "cooldown", "mutual_exclusion", "allow_override", "time_window", "outcome_based"]
        often += ["category_suppression"] * 2
        rule_type = "telepathy" if self.happens(30) else self.pick([*often, *list(config_of)[:-1]])
        scoped = self.scoped(id_)
        if rule_type == "cross_channel_cap":
            scoped |= self.maybe(2, "scopes", [[{"scope": "channel", "scopeId": "ch0"}]])
        return {**scoped, "ruleType": rule_type, "config": config_of[rule_type]()}

    def cap(self) -> Thing:
        maxima = [1, 2, 3, 4]
        config = {**self.maybe(3, "maxPerDay", maxima), **self.maybe(3, "maxPerWeek", maxima)}
        config |= {**self.maybe(3, "maxPerMonth", maxima), **self.maybe(3, "maxTotal", maxima)}
        if "maxTotal" in config:
            config |= self.maybe(2, "lookbackHours", [1, 2, 24, 1000])
        return config or {"maxContacts": self.pick(maxima), "windowDays": self.pick([1, 7, 30])}

    # --- flow

    def flow(self) -> Thing:
        # Few nodes at a time: with all of them nothing would be left to rank.
        wanted = list(self.pick(words.FOCUSES))
        if self.happens(4):
            self.chance.shuffle(wanted)
        make = {
            "filter": self.filter,
            "match": self.match,
            "qualify": self.qualify,
            "contact_policy": self.contact_policy,
            "conditional": self.conditional,
        }
        narrowing = [{"id": f"n{at}", **make[name]()} for at, name in enumerate(wanted)]
        nodes = [self.inventory(), *narrowing, *self.score_and_rank(), *self.hooks(), *self.output()]
        return {"version": 2, "nodes": nodes}

    def inventory(self) -> Thing:
        config = {
            "scope": self.pick(["category", "subcategory", "offers"]) if self.happens(12) else "all",
            "categoryIds": ["kcat0"],
            "subCategoryIds": ["sub0"],
            **self.maybe(20, "offerIds", [["o0", "o3", "zo1"]]),
            **self.maybe(2, "includeStatuses", [["active", "paused"]]),
        }
        return {"id": "inventory", "type": "inventory", "config": config}

    def filter(self) -> Thing:
        conditions = [
            {"field": self.pick(words.NAMES), **self.condition(words.FILTER_OPERATORS)}
            for _ in range(self.pick([1, 2]))
        ]
        return {"type": "filter", "config": {"combinator": self.pick(["AND", "OR"]), "conditions": conditions}}

    def match(self) -> Thing:
        mode = self.pick(["exact", "any", "none"])
        config = {"requireCreative": self.pick([True, False]), "placementMatchMode": mode}
        return {"type": "match_creatives", "config": config}

    def qualify(self) -> Thing:
        selected = {"mode": "selected", "ruleIds": ["r0", "r2"]}
        return {"type": "qualify", "config": selected if self.happens(5) else {}}

    def contact_policy(self) -> Thing:
        selected = {"mode": "selected", "policyIds": ["p1"]}
        return {"type": "contact_policy", "config": selected if self.happens(5) else {}}

    def conditional(self) -> Thing:
        def branch(name: str) -> list[Thing]:
            makers = [self.filter, self.qualify, self.qualify, self.contact_policy, self.call_rules]
            nodes = [self.pick(makers)() for _ in range(self.pick([0, 1, 2]))]
            return [{"id": f"{name}{at}{self.chance.random()}", **node} for at, node in enumerate(nodes)]

        condition = self.filter()["config"]
        return {
            "type": "conditional",
            "config": {"condition": condition, "then": branch("then"), "else": branch("else")},
        }

    def call_rules(self) -> Thing:
        return {"type": "call_flow", "config": {"flowKey": "rules"}}

    def hooks(self) -> list[Thing]:
        configs = [
            *([{"hook": "pre_score", "formula": self.pick(words.MASKS)}] if self.happens(6) else []),
            *([{"hook": "score_override", "formula": self.pick(words.FORMULAS)}] if self.happens(4) else []),
            *([{"hook": "post_rank", "formula": self.pick(words.MASKS)}] if self.happens(6) else []),
        ]
        return [{"id": config["hook"], "type": "extension_point", "config": config} for config in configs]

    def output(self) -> list[Thing]:
        formulas = [{"formula": formula} for formula in words.FORMULAS]
        properties = {name: self.pick([1, "text", None, ["a"], *formulas]) for name in self.some(["a", "b"], 2)}
        nodes: list[Thing] = []
        if self.happens(3):
            config = self.maybe(2, "fields", [[], ["a"], ["b", "d"]])
            nodes.append({"id": "compute", "type": "compute", "config": config})
        if properties:
            nodes.append({"id": "set", "type": "set_properties", "config": {"properties": properties}})
        return nodes

    def custom_fields(self) -> list[Thing]:
        def field(key: str) -> Thing:
            computed = {"type": "computed", "formula": self.pick(words.FORMULAS)}
            return {"key": key, **computed, **self.maybe(2, "outputType", ["number", "text"])}

        return [field(key) for key in dict.fromkeys(self.some(["a", "d"], 2))] + [{"key": "e", "type": "text"}]

    def card(self) -> Thing:
        operators = words.FILTER_OPERATORS[:10]
        rules = [
            {"field": self.pick(words.NAMES), "points": self.pick([-20, 5, 30]), **self.condition(operators)}
            for _ in range(self.chance.randint(0, 4))
        ]
        normalization = self.pick(["sigmoid", "linear"])
        base = {"baseScore": 50.0, "minScore": 0.0, "maxScore": 100.0}
        return {**base, "normalization": normalization, "rules": rules}

    # --- request and customers

    def request(self) -> Thing:
        return {
            "now": self.now,
            "limit": self.chance.randint(1, 5),
            **self.maybe(5, "channel", [*words.CHANNEL_TYPES, "sms"]),
            **self.maybe(12, "channelId", ["ch0", "nowhere"]),
            **self.placements(),
            **self.maybe(12, "excludeOffers", [["o0"]]),
            **self.maybe(4, "excludeCreatives", [["cr0", "cr2"]]),
        }

    def customer(self) -> Thing:
        def fields() -> Thing:
            return {name: self.pick(words.VALUES) for name in self.some(["x", "x", "y", "deep.x"], 3)}

        seen = {"seen": self.instant()}
        return {
            "seed": self.chance.getrandbits(64),
            "customer": {**fields(), **seen, **self.maybe(3, "deep", [{"x": value} for value in words.VALUES])},
            "attributes": {**fields(), **self.maybe(4, "seen", [self.instant()]), **self.propensities()},
            "context": fields(),
            "request": self.maybe(2, "channel", ["a"]),
            "segments": self.some(words.SEGMENTS, 2),
            "contacts": [self.contact() for _ in range(self.pick([0, 1, 3, 6]))],
            "metrics": past.metrics(self.chance),
            "outcomes": [past.outcome(self.chance, self.contact()) for _ in range(self.pick([0, 0, 1, 2, 4]))],
        }

    def propensities(self) -> Thing:
        if self.happens(3):
            return self.maybe(2, "propensityScores", [None, 0.5, [], "a"])
        names = [*self.offers, *self.offer_keys, *words.CATEGORIES, "nobody"]
        scores: list[Any] = [0, 0.3, 0.5, 0.5, 1, 2**70, True, None, "1", {}]
        return {"propensityScores": {name: self.pick(scores) for name in self.some(names, 12)}}

    def contact(self) -> Thing:
        at = datetime.fromisoformat(self.now) - timedelta(minutes=self.pick(words.AGES))
        if self.happens(4):
            # The first instant of a local day.
            at = at.astimezone(ZoneInfo(self.zone)).replace(hour=0, minute=0, second=0)
        if self.creatives and not self.happens(4):
            creative = self.pick(self.creatives)
            offer, channel = creative["offerId"], creative["channelId"]
            return {"offer": offer, "creative": creative["id"], "channel": channel, "at": at.isoformat()}
        return {"offer": self.pick([*self.offers, "deleted"]), "creative": None, "channel": None, "at": at.isoformat()}

    def case(self, customers: int | None) -> Case:
        catalogue = self.catalogue()
        flow, flows = with_calls(self.chance, self.flow())
        return {
            "timezone": self.zone,
            "maxOffers": self.pick([2, 100, 100, 100]),
            "catalogue": catalogue,
            "models": {"card": self.card(), "other": self.card()},
            "flow": flow,
            "flows": flows,
            **self.maybe(4, "coupling", ["atomic", "partial"]),
            "request": self.request(),
            "customers": [self.customer() for _ in range(customers or self.chance.randint(1, 4))],
        }


def world(seed: int, customers: int | None = None) -> Case:
    """Return the world of a number, with so many customers (drawn too when none are given)."""
    chance = random.Random(seed)
    case = _World(chance, now=chance.choice(words.NOWS), zone=chance.choice(words.ZONES)).case(customers)
    constrain(chance, case)
    return case


def cases() -> st.SearchStrategy[Case]:
    return st.integers(0, 2**32 - 1).map(world)
