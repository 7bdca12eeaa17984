"""The objectives of the reference: what each is for a candidate, and how they become one score."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from tests.core.decisioning.plain_values import Candidate, Thing, is_named, key_of
from tests.core.decisioning.reference_formulas import FormulaReference


class ObjectiveReference(FormulaReference):
    def _objective(self, name: str, one: Candidate, alive: list[Candidate]) -> float:
        score = one.score
        mine = [contact for contact in self.contacts if contact.get("offer") == one.offer["id"]]
        kin = [contact for contact in self.contacts if self._is_kin(contact, one)]
        values: dict[str, float] = {
            "propensity": score if one.propensity is None else one.propensity,
            "conversion": score,
            "relevance": self._relevance(one),
            "recency": self._recency(one),
            "impact": one.offer.get("businessValue", 50),
            "emphasis": one.priority,
            "revenue": one.offer.get("revenueValue") or 0,
            "margin": one.offer.get("margin") or 0,
            "diversity": 1 / sum(other.offer.get("categoryId") == one.offer.get("categoryId") for other in alive),
            "engagement": self._engagement(one),
            "fatigue": 1 / (1 + len(mine)),
            "fairness": 1 - len(kin) / max(len(self.contacts), 1),
            "clv": (one.offer.get("businessValue", 50) / 100) ** self._worth(one),
            "uplift": self._uplift(one),
        }
        return values[name]

    def _given(self, attribute: str, one: Candidate) -> float | None:
        scores = self._resolve(attribute, one)
        given = cast("Thing", scores if isinstance(scores, dict) else {})
        for name in (one.offer["id"], key_of(one.offer), one.offer.get("categoryId")):
            score = given.get(name or "")
            if type(score) in (int, float):
                return score
        return None

    def _worth(self, one: Candidate) -> float:
        worth = self._resolve("customer.clvScore", one)
        return min(100, max(0, worth)) / 100 if type(worth) in (int, float) else 0.0

    def _uplift(self, one: Candidate) -> float:
        return min(1.0, max(-1.0, self._given("attributes.upliftScores", one) or 0.0))

    def _is_kin(self, row: Thing, one: Candidate) -> bool:
        offer = self._find("offers", row.get("offer"))
        return offer is not None and offer.get("categoryId") == one.offer.get("categoryId")

    def _engagement(self, one: Candidate) -> float:
        responses = [
            done
            for done in self.outcomes
            if done["classification"] != "neutral"
            and self._is_kin(done, one)
            and self.now - datetime.fromisoformat(done["at"]) < timedelta(days=90)
        ]
        return len(responses) / (1 + len(responses))

    def _recency(self, one: Candidate) -> float:
        instants = [c["at"] for c in self.contacts if c.get("offer") == one.offer["id"]]
        ages = [self.now - datetime.fromisoformat(at) for at in instants]
        return min(1.0, min(ages).days / 30) if ages else 1.0

    def _relevance(self, one: Candidate) -> float:
        asked, asked_id = self.request.get("channel"), self.request.get("channelId")
        channel = one.channel
        is_wanted = channel is not None and asked in (None, channel["channelType"])
        fits = (asked is None and asked_id is None) or (
            is_wanted and channel is not None and (asked_id is None or is_named(channel, [asked_id]))
        )
        tags = [tag for tag in one.offer.get("tags", []) if isinstance(tag, str)]
        kinship = 1.0 if not tags or self.segments.intersection(tags) else 0.5
        return (fits + self._recency(one) + kinship) / 3


def places(values: list[float]) -> list[float]:
    """Each value between the least and the greatest; 1 where all are alike."""
    least, most = min(values, default=0), max(values, default=0)
    return [(value - least) / (most - least) if most > least else 1.0 for value in values]


def composite(method: str, parts: list[tuple[float, float]]) -> float:
    if method == "tchebycheff":
        return 1 - max(weight * (1 - place) for weight, place in parts)
    return sum(weight * place for weight, place in parts)
