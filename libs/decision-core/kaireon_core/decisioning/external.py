"""Scores of models that are services: what a decision must fetch, and what it finds when it has been fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats, Mask
from kaireon_core.learning.fallback import FALLBACK_REASONS, FallbackReason, Fallbacks

_CODES = {reason: code for code, reason in enumerate(FALLBACK_REASONS, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferScores:
    """What a service said of offers for one customer, by offer id: a score, else the reason why there is none."""

    scores: Mapping[str, float]
    reasons: Mapping[str, FallbackReason]

    def merged(self, others: OfferScores) -> OfferScores:
        """Return these and those of the others."""
        return OfferScores(scores={**self.scores, **others.scores}, reasons={**self.reasons, **others.reasons})


# What the services said for one customer, by model key.
Fetched: TypeAlias = Mapping[str, OfferScores]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreNeed:
    """A model and the offers that it must score for each customer, (B, O)."""

    model_key: str
    offers: Mask


class ExternalScores:
    """What has been fetched for B customers, in columns over the O offers of a catalogue."""

    def __init__(self, fetched: Sequence[Fetched], customers: int, places: Mapping[str, int]) -> None:
        """Take what each customer brings along; `places` is where an offer stands in the catalogue, by id."""
        self._customers = customers
        self._places = places
        self._columns: dict[str, tuple[Floats, Fallbacks]] = {}
        for customer, by_model in enumerate(fetched):
            for model_key, found in by_model.items():
                self.add(model_key, customer, found)

    def add(self, model_key: str, customer: int, found: OfferScores) -> None:
        """Take what a model's service said for a customer; offers that are gone are left out."""
        values, codes = self.of(model_key)
        places = self._places
        for offer, score in found.scores.items():
            if offer in places:
                values[customer, places[offer]] = score
        for offer, reason in found.reasons.items():
            if offer in places:
                codes[customer, places[offer]] = _CODES[reason]

    def of_customers(self, customers: NDArray[np.int64]) -> ExternalScores:
        """Return the scores of the customers at these places."""
        mine = ExternalScores((), len(customers), self._places)
        mine._columns = {key: (values[customers], codes[customers]) for key, (values, codes) in self._columns.items()}
        return mine

    def of(self, model_key: str) -> tuple[Floats, Fallbacks]:
        """Return a model's scores, NaN where there is none, and the codes of the reasons; both (B, O)."""
        found = self._columns.get(model_key)
        if found is None:
            shape = (self._customers, len(self._places))
            found = self._columns[model_key] = (np.full(shape, np.nan), np.zeros(shape, np.int8))
        return found

    def missing(self, model_key: str, offers: Mask) -> Mask:
        """Return which of these offers, (B, O), nobody has asked the model's service about."""
        values, codes = self.of(model_key)
        return offers & np.isnan(values) & (codes == 0)


def merged(needs: Iterable[ScoreNeed]) -> list[ScoreNeed]:
    """Return one need for each model, without those that need nothing."""
    by_model = dict[str, Mask]()
    for need in needs:
        before = by_model.get(need.model_key)
        by_model[need.model_key] = need.offers if before is None else before | need.offers
    return [ScoreNeed(model_key=key, offers=offers) for key, offers in by_model.items() if offers.any()]
