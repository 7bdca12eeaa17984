"""Which weights of the priority formula hold for which candidate: the node's own, a profile's, or an override's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaireon_core.catalog.document import Document
from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.flow import PrieWeights, ScoreConfig, StrategyOverride
from kaireon_core.decisioning.objectives import prie_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponents:
    """The weights of P, R, I, E and the optional terms: for each of C candidates, (C,), or for all, (1,)."""

    propensity: Floats
    relevance: Floats
    impact: Floats
    emphasis: Floats
    uplift: Floats
    clv: Floats

    def where(self, mask: Mask, others: Exponents) -> Exponents:
        """Return these where `mask` holds, and the others elsewhere."""
        return Exponents(
            propensity=np.where(mask, self.propensity, others.propensity),
            relevance=np.where(mask, self.relevance, others.relevance),
            impact=np.where(mask, self.impact, others.impact),
            emphasis=np.where(mask, self.emphasis, others.emphasis),
            uplift=np.where(mask, self.uplift, others.uplift),
            clv=np.where(mask, self.clv, others.clv),
        )

    @staticmethod
    def of(weights: PrieWeights) -> Exponents:
        """Return weights that hold for every candidate."""
        return Exponents(
            propensity=np.array([weights.propensity_weight]),
            relevance=np.array([weights.relevance_weight]),
            impact=np.array([weights.impact_weight]),
            emphasis=np.array([weights.emphasis_weight]),
            uplift=np.array([weights.uplift_weight]),
            clv=np.array([weights.clv_weight]),
        )


def exponents_of(config: ScoreConfig, candidates: Candidates) -> tuple[Exponents, Exponents]:
    """Return the weights of the candidates, and those of the same candidates as offers that stand alone.

    The first override that matches a candidate wins. A profile that is gone, or weighs no factor any more, leaves its
    candidates to what stands behind it.
    """
    catalogue = candidates.catalogue
    found = _of_profile(config.strategy_profile_id, catalogue.ranking_profiles)
    exponents = bare = Exponents.of(found or config.formula)
    for override in reversed(config.strategy_overrides):
        weights = _of_profile(override.profile_id, catalogue.ranking_profiles)
        if weights is None:
            continue
        mine, matches = Exponents.of(weights), _matches(override, candidates)
        exponents = mine.where(matches, exponents)
        if override.scope != "channel":
            bare = mine.where(matches, bare)
    return exponents, bare


def _of_profile(name: str | None, profiles: Sequence[Document]) -> PrieWeights | None:
    profile = named(name, profiles)
    return prie_weights(profile.body.get("weights") or {}) if profile else None


def named(name: str | None, documents: Sequence[Document]) -> Document | None:
    """Return the document with this id or key."""
    return next((one for one in documents if name is not None and name in (one.id, one.key)), None)


def _matches(override: StrategyOverride, candidates: Candidates) -> Mask:
    """Return the candidates that an override is for, (C,)."""
    catalogue, value = candidates.catalogue, override.value
    if override.scope == "channel":
        channels = [value in (one.id, one.key, one.body.get("channelType")) for one in catalogue.channels]
        return np.array([*channels, False], np.bool_)[candidates.channel]
    if override.scope == "category":
        category = named(value, catalogue.categories)
        wanted = category.id if category else value
        offers = [one.body.get("categoryId") == wanted for one in catalogue.offers]
    else:
        offers = [one.body.get("productType") == value for one in catalogue.offers]
    return np.array([*offers, False], np.bool_)[candidates.offer]
