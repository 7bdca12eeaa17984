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
_OF_OFFER, _OF_CATEGORY, _OF_CHANNEL, _OF_ALL = 50, 20, 20, 10
_PRIOR_WEIGHT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceModel:
    """Evidence over the candidates of a flow; `category` (O,) numbers each offer's category, 0 for none."""

    candidates: Candidates
    category: Ints

    def propensities(self, state: State) -> Floats:
        """Return the propensity of every candidate, (1, C): the same for every customer."""
        rows, candidates = state.counters.evidence, self.candidates
        offers, channels = len(candidates.catalogue.offers), len(candidates.catalogue.channels)
        positive, total = _summed(rows, rows.offer, offers)
        # Rows of offers that are not in the catalogue any more have no category.
        of_category = np.append(self.category, 0)[rows.offer]
        categories = int(self.category.max(initial=0)) + 1
        n = total[candidates.offer]
        own = _rate(positive, total)[candidates.offer]
        prior = self._prior(state, (of_category, categories), (rows.channel, channels), rows)
        blended = (n * own + _PRIOR_WEIGHT * prior) / (n + _PRIOR_WEIGHT)
        return np.where(n >= _OF_OFFER, own, blended)[None, :]

    def _prior(
        self, state: State, by_category: tuple[Ints, int], by_channel: tuple[Ints, int], rows: EvidenceRows
    ) -> Floats:
        """Return the rate of the first of category, channel and everything that has enough answers, (C,)."""
        candidates = self.candidates
        positive, total = _summed(rows, *by_category)
        category = self.category[candidates.offer]
        is_category = (category > 0) & (total[category] >= _OF_CATEGORY)
        of_category = _rate(positive, total)[category]
        positive, total = _summed(rows, *by_channel)
        channel = candidates.channel if state.bare is None else np.where(state.bare, -1, candidates.channel)
        is_channel = (channel >= 0) & (total[channel] >= _OF_CHANNEL)
        of_channel = _rate(positive, total)[channel]
        answers = int((rows.positive + rows.negative).sum())
        of_all = int(rows.positive.sum()) / answers if answers >= _OF_ALL else DEFAULT_PROPENSITY
        return np.where(is_category, of_category, np.where(is_channel, of_channel, of_all))


def compile_evidence(candidates: Candidates) -> EvidenceModel:
    """Return the model; nothing is needed but the counters."""
    numbers: dict[object, int] = {None: 0}
    offers = candidates.catalogue.offers
    category = [numbers.setdefault(offer.body.get("categoryId"), len(numbers)) for offer in offers]
    return EvidenceModel(candidates=candidates, category=np.array(category, np.int64))


def _summed(rows: EvidenceRows, groups: Ints, count: int) -> tuple[Ints, Ints]:
    """Return positive and all answers of each group, (count + 1,); the last is that of the rows without one."""
    positive, total = np.zeros((2, count + 1), np.int64)
    np.add.at(positive, groups, rows.positive)
    np.add.at(total, groups, rows.positive + rows.negative)
    return positive, total


def _rate(positive: Ints, total: Ints) -> Floats:
    return np.divide(positive, total, out=np.zeros(len(total)), where=total > 0)
