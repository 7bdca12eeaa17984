"""Propensity from evidence: what all customers' answers say of an offer, its category, its channel, or everything.

An offer with at least 50 answers has its own rate of positive ones. With fewer, n, its rate is blended with a prior
that weighs as much as 10 answers: (n * rate + 10 * prior) / (n + 10). The prior is the rate of the first of category,
channel and everything that has enough answers (20, 20, 10), else 0.5. Neutral outcomes are no answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Floats
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.counters import EvidenceRows, Ints
from kaireon_core.decisioning.state import State

DEFAULT_PROPENSITY = 0.5
_OF_OFFER = 50
# The levels of a prior, and how many answers each needs.
_PRIORS = (("category", 20), ("channel", 20), ("everything", 10))
_PRIOR_WEIGHT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceModel:
    """Evidence over the candidates of a flow; `category` (O,) numbers each offer's category, 0 for none."""

    candidates: Candidates
    category: Ints

    def propensities(self, state: State) -> Floats:
        """Return the propensity of every candidate, (1, C): the same for every customer."""
        levels = self._levels(state)
        prior = np.full(len(self.candidates), DEFAULT_PROPENSITY)
        for name, enough in reversed(_PRIORS):
            positive, total = levels[name]
            prior = np.where(total >= enough, _rate(positive, total), prior)
        positive, n = levels["offer"]
        own = _rate(positive, n)
        blended = (n * own + _PRIOR_WEIGHT * prior) / (n + _PRIOR_WEIGHT)
        return np.where(n >= _OF_OFFER, own, blended)[None, :]

    def most_specific(self, state: State) -> tuple[Floats, Floats]:
        """Return positive and all answers of the first of offer, channel, category, everything that has any, (C,)."""
        levels = self._levels(state)
        positive, total = np.zeros((2, len(self.candidates)))
        for name in ("everything", "category", "channel", "offer"):
            found, answers = levels[name]
            positive, total = np.where(answers > 0, found, positive), np.where(answers > 0, answers, total)
        return positive, total

    def _levels(self, state: State) -> dict[str, tuple[Ints, Ints]]:
        """Return positive and all answers of each candidate's offer, category and channel, and of everything, (C,)."""
        rows, candidates = state.counters.evidence, self.candidates
        catalogue = candidates.catalogue
        channel = candidates.channel if state.bare is None else np.where(state.bare, -1, candidates.channel)
        of_row = {
            "offer": (rows.offer, len(catalogue.offers), candidates.offer),
            # Rows of offers that are not in the catalogue any more have no category: 0 is none.
            "category": (
                np.append(self.category, 0)[rows.offer] - 1,
                int(self.category.max(initial=0)),
                self.category[candidates.offer] - 1,
            ),
            "channel": (rows.channel, len(catalogue.channels), channel),
            "everything": (np.zeros(len(rows.offer), np.int64), 1, np.zeros(len(candidates), np.int64)),
        }
        return {name: _of_candidates(rows, *given) for name, given in of_row.items()}


def compile_evidence(candidates: Candidates) -> EvidenceModel:
    """Return the model; nothing is needed but the counters."""
    numbers: dict[object, int] = {None: 0}
    offers = candidates.catalogue.offers
    category = [numbers.setdefault(offer.body.get("categoryId"), len(numbers)) for offer in offers]
    return EvidenceModel(candidates=candidates, category=np.array(category, np.int64))


def _of_candidates(rows: EvidenceRows, groups: Ints, count: int, mine: Ints) -> tuple[Ints, Ints]:
    """Return positive and all answers of each candidate's group, (C,); a candidate without one (-1) has none."""
    positive, total = np.zeros((2, count + 1), np.int64)
    np.add.at(positive, groups, rows.positive)
    np.add.at(total, groups, rows.positive + rows.negative)
    # Where the rows without a group were added up.
    positive[-1] = total[-1] = 0
    return positive[mine], total[mine]


def _rate(positive: Ints, total: Ints) -> Floats:
    return np.divide(positive, total, out=np.zeros(len(total)), where=total > 0)
