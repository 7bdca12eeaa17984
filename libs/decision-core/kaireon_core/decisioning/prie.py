"""The priority formula: propensity, relevance, impact and emphasis as a weighted geometric mean.

    priority = P^Wp * R^Wr * I^Wi * E^We, with 0^0 = 1 and weights that sum to 1

P is the propensity, held to [0, 1]; I = businessValue/100; E = priority/100; R = (c + r + s)/3, where
c is 1 if no channel was asked for or the candidate's matches, else 0;
r is min(1, whole days since the last contact with this offer / 30), 1 for an offer never shown;
s is 1 if the offer has no tags or shares one with the customer's segments, else 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Document
from kaireon_core.column import Floats, any_in
from kaireon_core.decisioning.calendar import DAY_MS
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.contacts import NEVER
from kaireon_core.decisioning.flow import ScoreConfig
from kaireon_core.decisioning.history_needs import NOTHING, HistoryNeeds
from kaireon_core.decisioning.lift import Lift, compile_lift
from kaireon_core.decisioning.match_creatives import fits_channel
from kaireon_core.decisioning.state import State
from kaireon_core.decisioning.strategy import Exponents, exponents_of

_DEFAULT_BUSINESS_VALUE = 50.0
_RECOVERY_DAYS = 30
_STRANGER = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Prie:
    """The formula over the candidates of a flow; `constant` (C,) is I^Wi * E^We, `tags` (T, offers) who has which.

    `bare` and `bare_constant` are those of candidates that stand for their offer alone.
    """

    weights: Exponents
    bare: Exponents
    candidates: Candidates
    constant: Floats
    bare_constant: Floats
    tag_places: dict[str, int]
    tags: NDArray[np.int64]
    lift: Lift

    @property
    def needs_contact_totals(self) -> bool:
        """Whether it looks at contacts: only where relevance counts."""
        return any_in(self.weights.relevance > 0) or any_in(self.bare.relevance > 0)

    @property
    def history(self) -> HistoryNeeds:
        """What the score must know of customers."""
        return self.of_relevance if self.needs_contact_totals else NOTHING

    @property
    def of_relevance(self) -> HistoryNeeds:
        """What relevance must know of customers: whether they are in the segments that offers are tagged with."""
        return HistoryNeeds(segments=tuple(self.tag_places))

    def score(self, state: State, propensity: Floats) -> Floats:
        """Return the priorities, shape (B, C)."""
        weights, constant = self.weights, self.constant
        if state.bare is not None:
            weights = self.bare.where(state.bare, weights)
            constant = np.where(state.bare, self.bare_constant, constant)
        score = np.clip(propensity, 0.0, 1.0) ** weights.propensity * constant
        if self.needs_contact_totals:
            score = score * self.relevance(state) ** weights.relevance
        return self.lift.times(score, state, weights)

    def exponent(self, state: State) -> Floats:
        """Return the weight of the propensity, in a shape that goes with (C,)."""
        bare = state.bare
        return self.weights.propensity if bare is None else self.bare.where(bare, self.weights).propensity

    def relevance(self, state: State) -> Floats:
        """Return R, shape (B, C)."""
        fits = fits_channel(self.candidates, state.request.routing)
        if state.bare is not None:
            fits = np.where(state.bare, not state.request.routing.names_channel, fits)
        return (fits + self.recency(state) + self._kinship(state)) / 3

    def recency(self, state: State) -> Floats:
        """Return r, shape (B, C)."""
        last = state.contacts.totals.last_by_offer(state.table.customers, len(self.candidates.catalogue.offers))
        days = np.where(last == NEVER, _RECOVERY_DAYS, (state.request.now_ms - last) // DAY_MS)
        return np.clip(days / _RECOVERY_DAYS, 0.0, 1.0)[:, self.candidates.offer]

    def _kinship(self, state: State) -> Floats:
        mine = np.zeros((len(state.segments), len(self.tag_places)), np.int64)
        for customer, segments in enumerate(state.segments):
            mine[customer, [self.tag_places[one] for one in segments if one in self.tag_places]] = 1
        has_tags = self.tags.any(axis=0)
        return np.where(has_tags & (mine @ self.tags == 0), _STRANGER, 1.0)[:, self.candidates.offer]


def compile_prie(config: ScoreConfig, candidates: Candidates) -> Prie:
    """Return the formula with everything folded in that depends on the offer alone."""
    weights, bare = exponents_of(config, candidates)
    offers = candidates.catalogue.offers
    values = np.array([_business_value(offer) for offer in offers], np.float64)
    impact, emphasis = (values / 100)[candidates.offer], candidates.priority / 100
    places: dict[str, int] = {}
    for offer in offers:
        for tag in _tags(offer):
            places.setdefault(tag, len(places))
    tags = np.zeros((len(places), len(offers)), np.int64)
    for place, offer in enumerate(offers):
        tags[[places[tag] for tag in _tags(offer)], place] = 1
    return Prie(
        weights=weights,
        candidates=candidates,
        bare=bare,
        constant=impact**weights.impact * emphasis**weights.emphasis,
        bare_constant=impact**bare.impact * emphasis**bare.emphasis,
        tag_places=places,
        tags=tags,
        lift=compile_lift(candidates, impact),
    )


def _business_value(offer: Document) -> float:
    value: Any = offer.body.get("businessValue")
    return _DEFAULT_BUSINESS_VALUE if value is None else float(value)


def _tags(offer: Document) -> list[str]:
    tags: list[Any] = offer.body.get("tags") or []
    return [tag for tag in tags if isinstance(tag, str)]
