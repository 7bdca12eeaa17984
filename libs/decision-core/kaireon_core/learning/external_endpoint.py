"""A model that an HTTP service scores: what is known of it without calling it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.learning.external_config import ExternalEndpointConfig
from kaireon_core.learning.model import BoundModel, Explanation, Fields, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEndpoint:
    """Such a model. Whoever scores with it without calling out gets its fallback score: no more is known."""

    config: ExternalEndpointConfig

    @property
    def fallback(self) -> float:
        """What counts for a candidate that the service has no score for."""
        return self.config.response_mapping.fallback_score

    @property
    def fields(self) -> tuple[str, ...]:
        """Nothing: the service is sent everything that is known of the customer."""
        return ()

    def score(self, table: Fields) -> Scores:
        """Return the fallback score of every candidate."""
        values = np.full((table.customers, table.candidates), self.fallback)
        return Scores(values=values, raw=values)

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return the fallback score as it is."""
        del table, customer, candidate
        return Explanation(base=self.fallback, contributions=())

    def bound(self, candidates: Fields) -> BoundModel | None:
        """Return None: there is nothing to be made once."""
        del candidates
        return None
