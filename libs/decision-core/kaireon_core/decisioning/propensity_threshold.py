"""The rule `propensity_threshold`: scores that the request brings along, else those of a model, against a minimum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Mask
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.check import Check
from kaireon_core.decisioning.external import ScoreNeed
from kaireon_core.decisioning.given_scores import Names, given_scores, offer_names
from kaireon_core.decisioning.scorer import asks_of, threshold_scorer_of
from kaireon_core.decisioning.state import State
from kaireon_core.learning.model import Model

_GIVEN = "attributes.propensityScores"
_UNKNOWN, _BELOW, _REACHED = -1, 0, 1


def propensity_threshold(config: dict[str, Any], candidates: Candidates, models: Mapping[str, Model]) -> Check:
    """Return the check; a candidate without any score does not pass."""
    least = float(config["minScore"])
    key = str(config.get("model") or "")
    model = models.get(key)
    scorer = threshold_scorer_of(key, model, candidates) if model else None
    ask = asks_of(scorer)
    names = offer_names(candidates.catalogue.offers)

    def failing(state: State) -> Mask:
        given = _given(state, names, least)[:, candidates.offer]
        is_failing = given != _REACHED
        # Only who is alive is scored, customer by customer: the company one is decided in must not show.
        asked = (given == _UNKNOWN) & state.alive
        rows = np.flatnonzero(asked.any(axis=0))
        if scorer is not None and rows.size:
            reached = scorer.scores(state, rows).values >= least
            is_failing[:, rows] &= ~(asked[:, rows] & reached)
        return is_failing

    def asks(state: State, alive: Mask) -> list[ScoreNeed]:
        unknown = _given(state, names, least)[:, candidates.offer] == _UNKNOWN
        return ask(state, unknown & alive) if ask else []

    if scorer is None:
        return Check(failing=failing)
    return Check(
        failing=failing,
        reads=scorer.reads,
        candidate_reads=scorer.candidate_reads,
        learned=scorer.learned,
        needs_evidence=scorer.needs_evidence,
        asks=asks if ask else None,
    )


def _given(state: State, names: Names, least: float) -> NDArray[np.int8]:
    """Return what the request's scores say of each customer and offer, (B, offers + 1)."""
    given = np.full((state.table.customers, len(state.candidates.catalogue.offers) + 1), _UNKNOWN, np.int8)
    for customer, offers, score in given_scores(state, _GIVEN, names):
        given[customer, offers] = _REACHED if score >= least else _BELOW
    return given
