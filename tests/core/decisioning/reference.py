"""The contract once more, in plain loops over plain JSON: slow, obvious, and written without looking at the engine.

It reads the cases of `cases.py` and answers in the same words, one customer and one candidate at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from tests.core.decisioning.cases import Case, Outcome
from tests.core.decisioning.plain_values import (
    Candidate,
    Thing,
    holds,
    instant,
    is_named,
    readable_instant,
    status_of,
)
from tests.core.decisioning.reference_flow import in_order, without_calls
from tests.core.decisioning.reference_objectives import composite, places
from tests.core.decisioning.reference_placements import PlacingReference, cells_of
from tests.core.decisioning.reference_strategy import model_of, profile_weights, weights_of


def decide(case: Case, customer: Thing) -> Outcome:
    return _Decision(case, customer).run()


# --- the decision -------------------------------------------------------------------------------------------------


class _Decision(PlacingReference):
    def __init__(self, case: Case, customer: Thing) -> None:
        super().__init__(case, customer)
        written: list[Thing] = case["flow"]["nodes"]
        self.nodes = without_calls(written, case.get("flows", {}))
        self.is_degraded = False
        self.funnel: list[tuple[str, int, int]] = []
        has_match = any(node["type"] == "match_creatives" for node in self.nodes)
        self.candidates = [one for offer in self._all("offers") for one in self._of_offer(offer, has_match)]

    def run(self) -> Outcome:
        steps: dict[str, Callable[[Thing], None]] = {
            "inventory": self._inventory,
            "filter": self._filter,
            "match_creatives": self._match_creatives,
            "qualify": self._qualify,
            "contact_policy": self._contact_policy,
        }
        self._narrow(self.nodes, steps)
        for name, step in self._constraint_stages():
            self._stage(name, step)
        for formula in self._hooked("pre_score"):
            self._stage("pre_score", partial(self._mask, formula))
        self._stage("score", partial(self._score, self._config("score")))
        for formula in self._hooked("score_override"):
            self._override(formula)
        scored = self._alive()
        if any(node["type"] == "optimize" for node in self.nodes):
            self._stage("optimize", partial(self._optimize, self._config("optimize")))
        for one in scored:
            one.score = 1.0 if self._is_mandatory(one.offer) else one.score
        scores = {one.row: one.score for one in scored}
        if self._active_guardrails():
            self._stage("guardrails", self._guardrails)
        answer = self._answer(cells_of(self.nodes, self.request, self.catalogue))
        picks = answer.picks
        return Outcome(
            picks=[(one.offer["id"], one.creative["id"] if one.creative else None) for one in picks],
            dropped={one.row: one.why for one in self.candidates if one.why},
            scores=scores,
            funnel=self.funnel,
            is_degraded=self.is_degraded,
            properties=[self._properties(one) for one in picks],
            probabilities=answer.chances,
            placements=answer.placements,
            coupling=answer.coupling,
        )

    def _narrow(self, nodes: list[Thing], steps: dict[str, Callable[[Thing], None]]) -> None:
        for node in nodes:
            config: Thing = node.get("config", {})
            if node["type"] == "conditional":
                outside = list(self.outside)
                matching = [one for one in self.candidates if self._holds(config.get("condition", {}), one)]
                for branch, others in (
                    ("then", [one for one in self.candidates if one not in matching]),
                    ("else", matching),
                ):
                    self.outside = outside + others
                    self._narrow(in_order(config.get(branch, [])), steps)
                self.outside = outside
            elif node["type"] in steps:
                self._stage(node["type"], partial(steps[node["type"]], config))

    def _stage(self, name: str, step: Callable[[], None]) -> None:
        self.stage = name
        before = len(self._alive())
        step()
        self.funnel.append((name, before, len(self._alive())))

    def _of_offer(self, offer: Thing, has_match: bool) -> list[Candidate]:
        creatives = [one for one in self._all("creatives") if one["offerId"] == offer["id"]] if has_match else []
        if not creatives:
            return [Candidate(offer, None, None, None)]
        return [
            Candidate(
                offer,
                creative,
                self._find("channels", creative["channelId"]),
                self._find("placements", creative.get("placementId")),
            )
            for creative in creatives
        ]

    # --- narrowing

    def _inventory(self, config: Thing) -> None:
        for one in self.candidates:
            offer, schedule = one.offer, one.offer.get("schedule", {})
            start, end = instant(schedule.get("startDate")), instant(schedule.get("endDate"))
            if not self._is_in_scope(config, offer):
                self._drop(one, "scope")
            elif status_of(offer) not in config.get("includeStatuses", ["active"]):
                self._drop(one, "status")
            elif (start and self.now < start) or (end and self.now >= end):
                self._drop(one, "schedule")
            elif offer.get("emergencyExcluded"):
                self._drop(one, "emergency_excluded")
            elif is_named(offer, self.request.get("excludeOffers", [])):
                self._drop(one, "excluded")

    def _is_in_scope(self, config: Thing, offer: Thing) -> bool:
        scope = config.get("scope", "all")
        if config.get("offerIds") or scope == "offers":
            return is_named(offer, config.get("offerIds", []))
        if scope == "category":
            category = self._find("categories", offer.get("categoryId"))
            return category is not None and is_named(category, config.get("categoryIds", []))
        if scope == "subcategory":
            sub_category = self._find("sub_categories", offer.get("subCategoryId"))
            return sub_category is not None and is_named(sub_category, config.get("subCategoryIds", []))
        return True

    def _filter(self, config: Thing) -> None:
        for one in self._alive():
            if not self._holds(config, one):
                self._drop(one, "filter")

    def _holds(self, config: Thing, one: Candidate) -> bool:
        combine = all if config.get("combinator", "AND") == "AND" else any
        conditions: list[Thing] = config.get("conditions", [])
        results = [holds(self._resolve(c["field"], one), c["operator"], c.get("value")) for c in conditions]
        return not conditions or combine(results)

    def _match_creatives(self, config: Thing) -> None:
        mode = config.get("placementMatchMode", "any")
        for offer in self._all("offers"):
            mine = [one for one in self.candidates if one.offer is offer]
            mine.sort(key=lambda one: one.row[1] or "")
            problems = [self._mismatch(one, mode) for one in mine]
            if not config.get("requireCreative", True) and all(problems):
                mine[0].make_bare()
                problems[0] = None
            for one, problem in zip(mine, problems, strict=True):
                if problem:
                    self._drop(one, problem)

    def _mismatch(self, one: Candidate, mode: str) -> str | None:
        creative, channel = one.creative, one.channel
        if creative is None:
            return "no_creative"
        if channel is None or status_of(creative) != "active" or status_of(channel) != "active":
            return "inactive"
        if is_named(creative, self.request.get("excludeCreatives", [])):
            return "excluded"
        wanted, wanted_id = self.request.get("channel"), self.request.get("channelId")
        if (wanted and channel["channelType"] != wanted) or (wanted_id and not is_named(channel, [wanted_id])):
            return "channel"
        return None if self._is_placed(one.placement, mode) else "placement"

    def _is_placed(self, placement: Thing | None, mode: str) -> bool:
        asked = [one["name"] for one in self.request.get("placements", [])]
        if asked and mode != "none":
            return any(self._is_at(placement, name, mode) for name in asked)
        wanted = self.request.get("placement")
        return wanted is None or mode == "none" or self._is_at(placement, wanted, mode)

    def _is_at(self, placement: Thing | None, wanted: str, mode: str) -> bool:
        if placement is None:
            return mode == "any"
        if any(is_named(one, [wanted]) for one in self._all("placements")):
            return is_named(placement, [wanted])
        return placement.get("slotType") == wanted

    # --- rules

    def _qualify(self, config: Thing) -> None:
        for rule in self._applied("qualification_rules", config, "ruleIds"):
            for one in self.candidates:
                if one in self.outside or self._is_mandatory(one.offer):
                    continue
                if self._covers(rule, "global", vars(one)) and not self._passes(rule, one):
                    if rule.get("stage") == "fit":
                        one.fit *= rule["config"].get("fitMultiplier", 0.5)
                    else:
                        self._drop(one, rule["ruleType"], rule)

    def _passes(self, rule: Thing, one: Candidate) -> bool:
        config = rule["config"]
        if rule["ruleType"] == "segment_required":
            return all(segment in self.segments for segment in config["requiredSegments"])
        if rule["ruleType"] == "propensity_threshold":
            score = self._known_propensity(config.get("model"), one)
            return score is not None and score >= config["minScore"]
        if rule["ruleType"] == "metric_condition":
            return self._compares(config) is True
        name: str = config["attribute"]
        if rule["ruleType"] == "recency_check":
            at = readable_instant(self._resolve(name, one))
            return at is not None and self.now - at <= timedelta(days=config["maxDays"])
        if rule["ruleType"] == "offer_attribute" and not name.startswith("offer."):
            name = "offer." + name
        value = self._resolve(name, one)
        if value is None and config["operator"] not in ("exists", "not_exists"):
            return True
        return holds(value, config["operator"], config.get("value"))

    def _known_propensity(self, model: str | None, one: Candidate) -> float | None:
        score = self._given("attributes.propensityScores", one)
        if score is not None:
            return score
        card = self.case.get("models", {}).get(model)
        return None if card is None else self._card_score(card, one)

    # --- scoring and ranking

    def _score(self, config: Thing) -> None:
        for one in self._alive():
            if config.get("method", "priority_weighted") == "priority_weighted":
                one.score = one.priority / 100 * one.weight / 100 * one.fit
            else:
                one.propensity = max(self._propensity(config, one), config.get("propensityFloor") or 0)
                one.score = one.propensity * one.fit
                if config["method"] == "formula":
                    one.score = self._prie(weights_of(config, one, self.catalogue), one) * one.fit
            if config.get("maturityRamp") is not None:
                one.score *= self._exposure(config["maturityRamp"], one)

    def _propensity(self, config: Thing, one: Candidate) -> float:
        key = model_of(config, one)
        if key is None:
            return self._by_evidence(one)
        card: Thing | None = self.case.get("models", {}).get(key)
        if card is None:
            self.is_degraded = True
            return 0.5
        return self._card_score(card, one)

    def _card_score(self, card: Thing, one: Candidate) -> float:
        raw = card["baseScore"]
        for rule in card["rules"]:
            if holds(self._resolve(rule["field"], one), rule["operator"], rule["value"]):
                raw += rule["points"]
        low, high = card["minScore"], card["maxScore"]
        if card["normalization"] == "linear":
            return min(1.0, max(0.0, (raw - low) / (high - low)))
        return 1 / (1 + math.exp(-6 * (raw - (high + low) / 2) / (high - low)))

    def _prie(self, weights: dict[str, float], one: Candidate) -> float:
        factors = {
            "propensityWeight": min(1.0, max(0.0, one.propensity or 0.0)),
            "relevanceWeight": self._relevance(one),
            "impactWeight": one.offer.get("businessValue", 50) / 100,
            "emphasisWeight": one.priority / 100,
        }
        prie = math.prod(factor ** weights[name] for name, factor in factors.items())
        return (
            prie
            * factors["impactWeight"] ** (weights.get("clvWeight", 0) * self._worth(one))
            * (1 + self._uplift(one)) ** weights.get("upliftWeight", 0)
        )

    def _optimize(self, config: Thing) -> None:
        alive = self._alive()
        weights = profile_weights(config, self.catalogue)
        if not any(weights.values()):
            return
        columns = {
            name: places([self._objective(name, one, alive) for one in alive]) for name, w in weights.items() if w
        }
        for at, one in enumerate(alive):
            parts = [(weights[name] / sum(weights.values()), column[at]) for name, column in columns.items()]
            one.score = composite(config.get("method", "weighted_sum"), parts)
            is_low = config.get("floor") is not None and round(one.score, 12) < config["floor"]
            if is_low and not self._is_mandatory(one.offer):
                self._drop(one, "floor")
