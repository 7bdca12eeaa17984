"""Ranking and filling one list in the reference."""

from __future__ import annotations

from tests.core.decisioning.plain_values import Candidate, Thing, key_of, name_of
from tests.core.decisioning.reference_explore import policy_of
from tests.core.decisioning.reference_objectives import ObjectiveReference


class RankingReference(ObjectiveReference):
    def _config(self, type_: str) -> Thing:
        configs: list[Thing] = [node.get("config", {}) for node in self.nodes if node["type"] == type_]
        return configs[0] if configs else {}

    def _rank(self, config: Thing) -> list[Candidate]:
        best = list[Candidate]()
        for offer in self._all("offers"):
            mine = [one for one in self._alive() if one.offer is offer]
            mine.sort(key=creative_order)
            best += mine[:1]
            for one in mine[1:]:
                self._drop(one, "other_creative")
        best.sort(key=offer_order)
        return self._in_order(config, best)

    def _in_order(self, config: Thing, best: list[Candidate]) -> list[Candidate]:
        mandatory = [one for one in best if self._is_mandatory(one.offer)]
        return mandatory + self._arranged(config, [one for one in best if one not in mandatory])

    def _arranged(self, config: Thing, best: list[Candidate]) -> list[Candidate]:
        if config.get("method", "topN") in ("topN", "explore"):
            return best
        if config["method"] == "round_robin":
            return _in_turn(best)
        first, rest, seen = list[Candidate](), list[Candidate](), list[str | None]()
        for one in best:
            category = one.offer.get("categoryId")
            (first if seen.count(category) < config.get("maxPerCategory", 1) else rest).append(one)
            seen.append(category)
        return first + rest

    def _limit_of_answer(self) -> int:
        limits = [self.request.get("limit", 5), self.case.get("maxOffers", 100)]
        return min(*limits, self._config("rank").get("maxCandidates") or limits[0])

    def _fill(self, ranked: list[Candidate], chances: list[float]) -> list[Candidate]:
        picks = list[Candidate]()
        is_drawn = self._config("rank").get("method") == "explore"
        if is_drawn:
            self._draw(ranked, self._limit_of_answer(), picks, chances)
        for one in ranked:
            if one in picks:
                continue
            breaking, is_full = self._breaking(picks, one), is_drawn or len(picks) == self._limit_of_answer()
            if breaking and (is_drawn or not is_full):
                self._drop(one, breaking[0]["ruleType"], breaking[0] if "id" in breaking[0] else None)
            elif is_full:
                self._drop(one, "limit")
            else:
                picks.append(one)
                chances.append(1.0)
        return picks

    def _draw(self, ranked: list[Candidate], limit: int, picks: list[Candidate], chances: list[float]) -> None:
        policy = policy_of(self._config("rank"), self.customer.get("seed", 0))
        while len(picks) < limit:
            free = [one for one in ranked if one not in picks and not self._breaking(picks, one)]
            if not free:
                break
            first = [one for one in free if self._is_mandatory(one.offer)]
            chosen, chance = (first[0], 1.0) if first else policy(free, len(picks) + 1)
            picks.append(chosen)
            chances.append(chance)

    def _breaking(self, picks: list[Candidate], one: Candidate) -> list[Thing]:
        return [policy for policy, breaks in self.limits if breaks(picks, one)]


def offer_order(one: Candidate) -> tuple[float, float, list[int]]:
    return -round(one.score, 12), -one.priority, [ord(c) for c in key_of(one.offer)]


def creative_order(one: Candidate) -> tuple[float, float, str, str]:
    creative = one.creative
    return (
        -round(one.score, 12),
        -one.weight,
        name_of(creative) if creative else "",
        creative["id"] if creative else "",
    )


def _in_turn(best: list[Candidate]) -> list[Candidate]:
    """One of each category in turn; dicts keep the order in which the categories come first."""
    by_category = dict[str | None, list[Candidate]]()
    for one in best:
        by_category.setdefault(one.offer.get("categoryId"), []).append(one)
    rounds = max((len(group) for group in by_category.values()), default=0)
    return [group[turn] for turn in range(rounds) for group in by_category.values() if turn < len(group)]
