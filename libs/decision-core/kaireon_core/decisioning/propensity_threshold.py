"""The rule `propensity_threshold`: scores that the request brings along, else those of a model, against a minimum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Document
from kaireon_core.column import Kind, Mask, kind_of
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.check import Check
from kaireon_core.decisioning.scorer import Scorer
from kaireon_core.decisioning.state import State
from kaireon_core.learning.model import Model

_GIVEN = "attributes.propensityScores"
_UNKNOWN, _BELOW, _REACHED = -1, 0, 1
# The offers that each name stands for, the least specific kind of name first.
Names: TypeAlias = list[dict[str, list[int]]]


def propensity_threshold(config: dict[str, Any], candidates: Candidates, models: Mapping[str, Model]) -> Check:
    """Return the check; a candidate without any score does not pass."""
    least = float(config["minScore"])
    model = models.get(config.get("model") or "")
    scorer = Scorer.of(model, candidates) if model else None
    names = _names(candidates.catalogue.offers)

    def failing(state: State) -> Mask:
        given = _given(state, names, least)[:, candidates.offer]
        is_failing = given != _REACHED
        # Only who is alive is scored, customer by customer: the company one is decided in must not show.
        asked = (given == _UNKNOWN) & state.alive
        rows = np.flatnonzero(asked.any(axis=0))
        if scorer is not None and rows.size:
            reached = scorer.scores(state, rows) >= least
            is_failing[:, rows] &= ~(asked[:, rows] & reached)
        return is_failing

    if scorer is None:
        return Check(failing=failing)
    return Check(failing=failing, reads=scorer.reads, candidate_reads=scorer.model.fields)


def _names(offers: Sequence[Document]) -> Names:
    by_category, by_key, by_id = (defaultdict[str, list[int]](list) for _ in range(3))
    for index, offer in enumerate(offers):
        by_category[str(offer.body.get("categoryId"))].append(index)
        by_key[offer.key].append(index)
        by_id[offer.id].append(index)
    by_category.pop(str(None), None)
    return [dict(by_category), dict(by_key), dict(by_id)]


def _given(state: State, names: Names, least: float) -> NDArray[np.int8]:
    """Return what the request's scores say of each customer and offer, (B, offers + 1); what is no number says nothing.

    Numbers are compared as they came: JSON knows integers that no float64 holds.
    """
    given = np.full((state.table.customers, len(state.candidates.catalogue.offers) + 1), _UNKNOWN, np.int8)
    for customer, scores in enumerate(state.table.values(_GIVEN)):
        if not isinstance(scores, dict):
            continue
        numbers = [
            (name, score) for name, score in cast("dict[str, Any]", scores).items() if kind_of(score) is Kind.NUMBER
        ]
        for offers_of in names:
            for name, score in numbers:
                given[customer, offers_of.get(name, [])] = _REACHED if score >= least else _BELOW
    return given
