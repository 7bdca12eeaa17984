"""The optional terms of the priority formula: what contact changes, and what the customer is worth.

    priority = PRIE * I^(Wclv * clvScore/100) * (1 + uplift)^Wu

`clvScore` is the customer's attribute, held to 0 to 100; without it the term is left out. `uplift` is the difference
that contact makes to the customer's answer, held to -1 to 1: the entry of the request's `attributes.upliftScores` for
the offer's id, else its key, else its category's id; 0 without one. Persuadable customers lift an offer, those whom
contact puts off (sleeping dogs) sink it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Floats, any_in
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.given_scores import Names, given_scores, offer_names
from kaireon_core.decisioning.state import State
from kaireon_core.decisioning.strategy import Exponents

_CLV = "customer.clvScore"
_UPLIFT = "attributes.upliftScores"
_MOST_CLV = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """The terms over the candidates of a flow; `impact` (C,) is I."""

    candidates: Candidates
    impact: Floats
    names: Names

    def times(self, score: Floats, state: State, weights: Exponents) -> Floats:
        """Return the score with the terms that these weights ask for, (B, C)."""
        if any_in(weights.clv > 0):
            score = score * self.clv(state, weights.clv)
        if any_in(weights.uplift > 0):
            score = score * _power(1.0 + self.uplift(state), weights.uplift)
        return score

    def clv(self, state: State, weight: Floats | float = 1.0) -> Floats:
        """Return I^(weight * clvScore/100), (B, C)."""
        return _power(self.impact, weight * self._worth(state)[:, None])

    def uplift(self, state: State) -> Floats:
        """Return the difference that contact makes for each candidate, -1 to 1, (B, C)."""
        uplift = np.zeros((state.table.customers, len(self.candidates.catalogue.offers) + 1))
        for customer, offers, score in given_scores(state, _UPLIFT, self.names):
            uplift[customer, offers] = min(max(score, -1.0), 1.0)
        return uplift[:, self.candidates.offer]

    def _worth(self, state: State) -> Floats:
        """Return clvScore/100 of each customer, 0 where it is not known."""
        column, _ = state.table.column(_CLV)
        known = np.where(column.is_number, np.nan_to_num(column.numbers), 0.0)
        return np.clip(known, 0.0, _MOST_CLV) / _MOST_CLV


def _power(base: Floats, exponent: Floats) -> Floats:
    """Return base ** exponent in the shape of both.

    numpy squares where an exponent of 2 is spread over a row, and rounds otherwise where it is not: spread out before,
    every customer is treated alike, however many there are.
    """
    return np.power(*map(np.ascontiguousarray, np.broadcast_arrays(base, exponent)))


def compile_lift(candidates: Candidates, impact: Floats) -> Lift:
    """Return the terms; `impact` is I of each candidate, (C,)."""
    return Lift(candidates=candidates, impact=impact, names=offer_names(candidates.catalogue.offers))
