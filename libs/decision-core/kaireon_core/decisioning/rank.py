"""The rank node: a total order of the candidates of each customer, one candidate per offer.

Scores are compared rounded to 12 decimals; equal ones follow priority (descending), then offer key (code points).
Of several creatives of an offer the best stands for it: score, then creative weight, creative name and id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.cells import Cells
from kaireon_core.decisioning.flow import Rank, RankConfig
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import State

Indices: TypeAlias = NDArray[np.int64]
DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Ranked:
    """n ranked candidates over all customers: customer ascending, best first within each."""

    customer: Indices
    candidate: Indices
    # The placement of the answer that each row is for; None where the answer is one list.
    cell: Indices | None = None

    def only(self, kept: NDArray[np.bool_] | Indices) -> Ranked:
        """Return these rows, by a mask or by their places."""
        cell = None if self.cell is None else self.cell[kept]
        return Ranked(self.customer[kept], self.candidate[kept], cell)


# From the category group of each row, best first, to the keys that order them anew, the weightiest last.
Arrange: TypeAlias = Callable[[Indices], tuple[Indices, Indices]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranker:
    """A compiled rank node; `by_tie`, (C,), is the order of ties, and `max_candidates` bounds the answer."""

    candidates: Candidates
    by_tie: Indices
    other_creative: int
    unplaced: int
    max_candidates: int | None
    arrange: Arrange | None

    def rank(self, state: State, cells: Cells | None = None) -> Ranked:
        """Return the ranking; candidates beaten by another creative of their offer are dropped.

        With several placements an offer is ranked once for each that it fits.
        """
        ranked = self._by_score(state)
        offers = len(self.candidates.catalogue.offers)
        if cells is not None:
            return self._for_cells(ranked, state, cells)
        is_best = _is_first(
            ranked.customer * offers + self.candidates.offer[ranked.candidate], state.table.customers * offers
        )
        state.reasons[ranked.customer[~is_best], ranked.candidate[~is_best]] = self.other_creative
        best = ranked.only(is_best)
        return self._arranged(best, state, best.customer)

    def _for_cells(self, ranked: Ranked, state: State, cells: Cells) -> Ranked:
        """Return the ranking over placements; what is best for none of them is dropped."""
        count, offers = len(cells.cells), len(self.candidates.catalogue.offers)
        fits = np.array([cell.fits for cell in cells.cells], np.bool_).reshape(count, len(self.candidates))
        if state.bare is not None:
            fits = fits | state.bare
        cell, row = np.nonzero(fits[:, ranked.candidate])
        placed = Ranked(ranked.customer[row], ranked.candidate[row], cell)
        owner = placed.customer * count + cell
        is_best = _is_first(
            owner * offers + self.candidates.offer[placed.candidate], state.table.customers * count * offers
        )
        state.reasons[ranked.customer, ranked.candidate] = self.unplaced
        state.reasons[placed.customer, placed.candidate] = self.other_creative
        state.reasons[placed.customer[is_best], placed.candidate[is_best]] = 0
        # Each placement on its own, one behind the other, or all in one list by rank.
        keys = (row, cell, placed.customer) if cells.in_turn else (cell, row, placed.customer)
        order = np.lexsort(tuple(one[is_best] for one in keys))
        best = placed.only(is_best).only(order)
        return self._arranged(best, state, owner[is_best][order] if cells.in_turn else best.customer)

    def _by_score(self, state: State) -> Ranked:
        """Return the candidates by score and order of ties."""
        # From the start in the order of ties, so that stable sorts by score and by customer keep it.
        customer, place = np.nonzero(state.alive.take(self.by_tie, axis=1))
        candidate = self.by_tie[place]
        assert state.score is not None  # noqa: S101 - compile puts a score stage before every ranking
        # Of a score that all customers share there is one row.
        score = state.score[customer if len(state.score) > 1 else 0, candidate]
        by_score = np.argsort(-score.round(DECIMALS), kind="stable")
        # Numbers of up to 16 bits are sorted in linear time.
        numbers = customer.astype(np.min_scalar_type(state.table.customers))
        order = by_score[np.argsort(numbers[by_score], kind="stable")]
        return Ranked(customer[order], candidate[order])

    def _arranged(self, ranked: Ranked, state: State, owner: Indices) -> Ranked:
        """Return the ranking in the order of the method; mandatory offers stand before all others, by score.

        `owner` numbers what is ranked on its own: a customer, or a customer's placement.
        """
        rows = np.arange(len(ranked.candidate))
        keys: tuple[Indices, ...] = (rows,)
        if self.arrange is not None:
            # A category's number is at most the number of offers, so the groups of two owners never meet.
            offers = len(self.candidates.catalogue.offers)
            group = owner * (offers + 1) + self.candidates.category[ranked.candidate]
            if state.mandatory is not None:
                beyond = (int(owner.max(initial=0)) + 1) * (offers + 1)
                group = np.where(state.mandatory[ranked.candidate], beyond + rows, group)
            keys = self.arrange(group)
        if state.mandatory is not None:
            keys = (*keys, (~state.mandatory[ranked.candidate]).astype(np.int64))
        elif self.arrange is None:
            return ranked
        return ranked.only(np.lexsort((*keys, owner)))


def compile_rank(node: Rank | None, candidates: Candidates, legend: LegendBuilder) -> Ranker:
    """Return the ranker; a flow without a rank node takes the best by score."""
    config = node.config if node else RankConfig()
    return Ranker(
        candidates=candidates,
        by_tie=np.argsort(candidates.tie_rank),
        other_creative=legend.add("other_creative", "another creative of the same offer ranks higher"),
        unplaced=legend.add("placement", "it fits none of the answer's placements"),
        max_candidates=config.max_candidates,
        arrange=_ARRANGE[config.method](config),
    )


def _diversity(config: RankConfig) -> Arrange:
    """At most so many of each category first, the rest behind, both by score."""
    most = config.max_per_category or 1
    return lambda group: (np.arange(len(group)), (_earlier_equals(group) >= most).astype(np.int64))


def _round_robin(_config: RankConfig) -> Arrange:
    """One of each category in turn, in every round in the order of their best."""
    return lambda group: (_first_equals(group), _earlier_equals(group))


_ARRANGE: dict[str, Callable[[RankConfig], Arrange | None]] = {
    "topN": lambda _config: None,
    "diversity": _diversity,
    "round_robin": _round_robin,
    # The order of which `explore` departs.
    "explore": lambda _config: None,
}


def _is_first(groups: Indices, count: int) -> NDArray[np.bool_]:
    """Return where each of `count` possible values stands for the first time."""
    rows = np.arange(len(groups))
    first = np.empty(count, np.int64)
    first[groups[::-1]] = rows[::-1]  # of equal indices the last assignment stays: the first row
    return first[groups] == rows


def _first_equals(groups: Indices) -> Indices:
    """Return for each row where the first equal value stands."""
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    return first[place]


def _earlier_equals(groups: Indices) -> Indices:
    """Return for each row how many equal values stand before it."""
    order = np.argsort(groups, kind="stable")
    sorted_groups = groups[order]
    rows = np.arange(len(groups))
    begins = np.ones(len(groups), np.bool_)
    begins[1:] = sorted_groups[1:] != sorted_groups[:-1]
    counts = np.empty(len(groups), np.int64)
    counts[order] = rows - np.maximum.accumulate(np.where(begins, rows, 0))
    return counts
