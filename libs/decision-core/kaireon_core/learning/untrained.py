"""A model that has learnt nothing yet: even odds for everybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.learning.model import Explanation, Fields, Scores

PRIOR = 0.5


@dataclass(frozen=True, slots=True)
class Untrained:
    """A bayesian or logistic model without a state: `/score` answers 0.5; a flow asks the evidence in its place."""

    fields: tuple[str, ...] = ()

    def score(self, table: Fields) -> Scores:
        """Return the prior for everybody, of log-odds 0: shape (1, 1), whatever the table holds."""
        del table
        return Scores(np.full((1, 1), PRIOR), np.zeros((1, 1)))

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return the base value alone, whoever is scored."""
        del table, customer, candidate
        return Explanation(0.0, ())

    def bound(self, candidates: Fields) -> None:
        """Return None: there is nothing to remember about candidates."""
