"""The objectives of ranking profiles: what a profile may weigh, and what its weights mean to the priority formula."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from kaireon_core.decisioning.flow import PrieWeights


class Objective(StrEnum):
    """What a ranking profile may weigh."""

    PROPENSITY = "propensity"
    RELEVANCE = "relevance"
    IMPACT = "impact"
    EMPHASIS = "emphasis"
    DIVERSITY = "diversity"
    CLV = "clv"
    UPLIFT = "uplift"
    REVENUE = "revenue"
    MARGIN = "margin"
    ENGAGEMENT = "engagement"
    CONVERSION = "conversion"
    RECENCY = "recency"
    FAIRNESS = "fairness"
    FATIGUE = "fatigue"


# The objectives that each factor of the priority formula adds up, by the field of its weight.
_FACTORS: dict[str, tuple[Objective, Objective]] = {
    "propensity_weight": (Objective.PROPENSITY, Objective.CONVERSION),
    "relevance_weight": (Objective.RELEVANCE, Objective.RECENCY),
    "impact_weight": (Objective.IMPACT, Objective.MARGIN),
    "emphasis_weight": (Objective.EMPHASIS, Objective.FAIRNESS),
}


def prie_weights(profile: Mapping[str, float]) -> PrieWeights | None:
    """Return a profile's weights as exponents of the priority formula, None when it weighs none of its factors.

    P = propensity + conversion, R = relevance + recency, I = impact + margin, E = emphasis + fairness, over their sum.
    `uplift` and `clv` are the weights of the optional terms, as they are.
    """
    sums = {name: sum(float(profile.get(one, 0.0)) for one in pair) for name, pair in _FACTORS.items()}
    total = sum(sums.values())
    if total <= 0:
        return None
    terms = {f"{name}_weight": float(profile.get(name, 0.0)) for name in (Objective.UPLIFT, Objective.CLV)}
    return PrieWeights(**{name: one / total for name, one in sums.items()}, **terms)
