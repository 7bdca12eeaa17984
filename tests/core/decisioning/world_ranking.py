"""Random score and rank nodes, and the dice with which whole worlds are drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.core.decisioning import world_words as words

T = TypeVar("T")
Thing = dict[str, Any]


@dataclass(slots=True)
class RankingWorld:
    chance: random.Random

    def pick(self, options: Sequence[T]) -> T:
        return self.chance.choice(options)

    def happens(self, one_in: int) -> bool:
        return self.chance.randrange(one_in) == 0

    def some(self, options: Sequence[T], most: int) -> list[T]:
        return [self.pick(options) for _ in range(self.chance.randint(0, most))]

    def maybe(self, one_in: int, name: str, options: Sequence[Any]) -> Thing:
        return {name: self.pick(options)} if self.happens(one_in) else {}

    def score_and_rank(self) -> list[Thing]:
        score: Thing = {"method": "priority_weighted"}
        if self.happens(2):
            score = {"method": "propensity", **self.pick([{}, *[{"modelKey": "card"}] * 3, {"modelKey": "gone"}])}
            score |= self.maybe(2, "propensityFloor", [0.0, 0.3, 0.6])
            if self.happens(2):
                score |= {"method": "formula", "formula": self.pick(words.WEIGHTS), **self.strategy()}
            score |= self.maybe(4, "overrides", words.CHANNEL_MODELS)
        score |= self.maybe(6, "maturityRamp", [{}, {"confidence": 0.8, "targetWidth": 0.4}])
        rank: Thing = {"method": self.pick(["topN", "diversity", "round_robin", "explore"])}
        if rank["method"] == "explore":
            rank |= self.pick(words.EXPLORATIONS)
        rank |= {**self.maybe(4, "maxCandidates", [1, 2, 3]), **self.maybe(2, "maxPerCategory", [1, 2])}
        optimize = [{"id": "optimize", "type": "optimize", "config": self.optimize()}] if self.happens(3) else []
        return [
            *optimize,
            {"id": "score", "type": "score", "config": score},
            {"id": "rank", "type": "rank", "config": rank},
            *self.group(rank),
            {"id": "response", "type": "response"},
        ]

    def optimize(self) -> Thing:
        weights = {"weights": {name: self.pick([0.2, 0.5, 1]) for name in [*self.some(words.OBJECTIVES, 4), "fatigue"]}}
        given = self.pick([weights, weights, {"profileKey": self.pick(words.PROFILE_NAMES)}])
        return {**given, "method": self.pick(["weighted_sum", "tchebycheff"]), **self.maybe(3, "floor", [0, 0.3, 0.75])}

    def group(self, rank: Thing) -> list[Thing]:
        if not self.happens(4):
            return []
        names = dict.fromkeys(self.pick(["p0", "kp1", "p2", "gone"]) for _ in range(self.pick([1, 2, 3])))
        config: Thing = {
            "placements": [{"placementId": name, **self.maybe(2, "slots", [1, 2])} for name in names],
            "method": "greedy" if rank["method"] == "explore" else self.pick(["greedy", "optimal", "optimal"]),
            **self.maybe(4, "uniqueOffer", [False]),
        }
        return [{"id": "group", "type": "group", "config": config}]

    def placements(self) -> Thing:
        """Return one placement to ask for, several, or none."""
        if not self.happens(4):
            return self.maybe(3, "placement", ["kp0", "banner", "nowhere"])
        names = dict.fromkeys(self.pick(["p0", "kp1", "p2", "banner", "nowhere"]) for _ in range(self.pick([1, 2, 3])))
        asked = [{"name": name, **self.maybe(2, "slots", [1, 2, 3])} for name in names]
        return {"placements": asked, "deduplicate": self.happens(2)}

    def strategy(self) -> Thing:
        overrides = self.some(words.STRATEGY_OVERRIDES, 2)
        return {**self.maybe(3, "strategyProfileId", words.PROFILE_NAMES), "strategyOverrides": overrides}
