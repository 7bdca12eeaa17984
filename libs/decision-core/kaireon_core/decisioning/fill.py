"""Filling the answer: the ranked list is walked, and a candidate beyond a shared limit lets the next move up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Floats, Mask, any_in, row_of
from kaireon_core.decisioning.cells import Cells
from kaireon_core.decisioning.explore import Choose, Explore
from kaireon_core.decisioning.place import Allotment, optimal_rows
from kaireon_core.decisioning.rank import DECIMALS, Indices, Ranked
from kaireon_core.decisioning.reasons import LegendBuilder, Reason
from kaireon_core.decisioning.slots import Bound, Rows, at_candidates, by_customer, first_of, mandatory_first
from kaireon_core.decisioning.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The answers of B customers: candidates in rank order, and for each its probability and its placement."""

    picks: list[Indices]
    probabilities: list[Floats] | None = None
    cells: list[Indices] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filler:
    """Takes the best candidates of each customer until the answer is full.

    `shared_codes` maps the code of a shared limit in its own stage to its code here.
    """

    beyond_limit: int
    shared_codes: dict[int, int]
    explore: Explore | None

    def fill(self, state: State, ranked: Ranked, limit: int, cells: Cells | None = None) -> Filled:
        """Return each customer's answer; explain the other candidates in `state.reasons`."""
        if self.explore is None and cells is None:
            return Filled(picks=self._take(state, ranked, limit))
        rows = Rows.of(ranked, state.candidates, state.table.customers)
        bounds = [Bound.of(one, rows.candidate) for one in state.shared_limits]
        if cells is not None and cells.is_optimal and cells.is_unique:
            chosen = [np.array(one, np.int64) for one in optimal_rows(state, rows, bounds, cells, limit)]
            chances = [np.ones(len(one)) for one in chosen]
            _settle(rows, bounds, chosen)
        else:
            chosen, chances = self._by_slot(state, rows, bounds, limit, cells)
        picks = [rows.candidate[customer, mine] for customer, mine in enumerate(chosen)]
        self._explain(state, ranked, rows, bounds, picks)
        return Filled(
            picks=picks,
            probabilities=None if self.explore is None else chances,
            cells=None if cells is None else [rows.cell[customer, mine] for customer, mine in enumerate(chosen)],
        )

    def _by_slot(
        self, state: State, rows: Rows, bounds: list[Bound], limit: int, cells: Cells | None
    ) -> tuple[list[Indices], list[Floats]]:
        """Return the rows that are taken, slot by slot for all customers at once, and how probable each was."""
        everyone, choose = np.arange(len(rows.candidate)), self._chooser(state, rows, cells)
        allotment = None if cells is None else Allotment.of(cells, len(rows.candidate))
        chosen, chances, taken = list[Indices](), list[Floats](), list[Mask]()
        while len(chosen) < limit:
            free = rows.admissible.copy()
            for one in bounds:
                free &= ~one.keeps_out()
            if allotment is not None:
                free = allotment.open(rows, free)
            is_taken = np.count_nonzero(free, axis=1) > 0
            if not any_in(is_taken):
                break
            drawn = choose(free, len(chosen) + 1)
            place, chance = mandatory_first(state.mandatory, rows.candidate, free, *drawn)
            rows.admissible[everyone[is_taken], place[is_taken]] = False
            for one in bounds:
                one.remaining -= one.counting[everyone, place] & is_taken
            if allotment is not None:
                allotment.take(rows, place, is_taken)
            chosen.append(place)
            chances.append(chance)
            taken.append(is_taken)
        count = len(rows.candidate)
        return by_customer(chosen, taken, count, np.int64), by_customer(chances, taken, count, np.float64)

    def _chooser(self, state: State, rows: Rows, cells: Cells | None) -> Choose:
        if self.explore is None:
            return first_of
        everyone = np.arange(len(rows.candidate))[:, None]
        assert state.score is not None  # noqa: S101 - the score stage has run
        scores = np.broadcast_to(state.score, state.alive.shape)[everyone, rows.candidate].round(DECIMALS)
        seeds = [0] if cells is None else [cell.seed for cell in cells.cells] or [0]
        return self.explore.chooser(state, rows.candidate, scores, np.array(seeds, np.uint64)[rows.cell])

    def _explain(self, state: State, ranked: Ranked, rows: Rows, bounds: list[Bound], picks: list[Indices]) -> None:
        """Say why what was ranked is not taken: the first limit that keeps it out in the end, else better ones."""
        state.reasons[ranked.customer, ranked.candidate] = self.beyond_limit
        for limit, one in reversed(list(zip(state.shared_limits, bounds, strict=True))):
            customer, place = np.nonzero(rows.admissible & one.keeps_out())
            state.reasons[customer, rows.candidate[customer, place]] = self.shared_codes[limit.code]
        for customer, picked in enumerate(picks):
            state.reasons[customer, picked] = 0

    def _take(self, state: State, ranked: Ranked, limit: int) -> list[Indices]:
        starts = np.searchsorted(ranked.customer, np.arange(state.table.customers + 1))
        state.reasons[ranked.customer, ranked.candidate] = self.beyond_limit
        ends = np.minimum(starts[:-1] + limit, starts[1:])
        picks = [ranked.candidate[start:end] for start, end in zip(starts[:-1], ends, strict=True)]
        for customer in self._limited(state, ranked, starts[:-1], ends):
            everything = ranked.candidate[starts[customer] : starts[customer + 1]]
            picks[customer] = self._walk(state, customer, everything, limit)
        for customer, picked in enumerate(picks):
            state.reasons[customer, picked] = 0
        return picks

    def _limited(self, state: State, ranked: Ranked, starts: Indices, ends: Indices) -> list[int]:
        """Return the customers whose best candidates run into a shared limit; only these must be walked."""
        most = int((ends - starts).max(initial=0))
        limits = [limit for limit in state.shared_limits if (limit.remaining < most).any()]
        if not limits:
            return []
        places = starts[:, None] + np.arange(most)
        is_taken = places < ends[:, None]
        # Behind the end of a customer's candidates stands any candidate, which is_taken rules out.
        best = ranked.candidate[np.minimum(places, len(ranked.candidate) - 1)]
        runs_into = np.zeros(len(starts), np.bool_)
        for limit in limits:
            counting = at_candidates(limit.counting, best) & is_taken
            taken_before = np.cumsum(counting, axis=1) - counting
            is_beyond = taken_before >= limit.remaining[:, None]
            runs_into |= (at_candidates(limit.binding, best) & is_taken & is_beyond).any(axis=1)
        return np.flatnonzero(runs_into).tolist()

    def _walk(self, state: State, customer: int, ranked: Indices, limit: int) -> Indices:
        shared = state.shared_limits
        binding = [row_of(one.binding, customer) for one in shared]
        counting = [row_of(one.counting, customer) for one in shared]
        remaining = [int(one.remaining[customer]) for one in shared]
        picked = list[int]()
        for candidate in ranked.tolist():
            if len(picked) == limit:
                break
            exhausted = (at for at, left in enumerate(remaining) if left <= 0 and binding[at][candidate])
            first = next(exhausted, None)
            if first is not None:
                state.reasons[customer, candidate] = self.shared_codes[shared[first].code]
                continue
            remaining = [left - int(counting[at][candidate]) for at, left in enumerate(remaining)]
            picked.append(candidate)
        return np.array(picked, np.int64)


def _settle(rows: Rows, bounds: list[Bound], chosen: list[Indices]) -> None:
    """Take the chosen rows from what is left, as if they had been taken one by one."""
    for customer, mine in enumerate(chosen):
        for one in bounds:
            one.remaining[customer] -= np.count_nonzero(one.counting[customer, mine])
        rows.admissible[customer] &= ~np.isin(rows.offer[customer], rows.offer[customer, mine])


def compile_fill(legend: LegendBuilder, shared_codes: Sequence[int], explore: Explore | None) -> Filler:
    """Return the filler; the reasons with these codes, of shared limits, get others here."""
    beyond_limit = legend.add("limit", "better candidates fill the answer")
    return Filler(
        beyond_limit=beyond_limit,
        explore=explore,
        shared_codes={code: _again(legend.reasons[code - 1], legend) for code in shared_codes},
    )


def _again(reason: Reason, legend: LegendBuilder) -> int:
    return legend.add(
        reason.type,
        f"{reason.message}, counting this answer",
        entity_id=reason.entity_id,
        entity_name=reason.entity_name,
        detail=reason.detail,
    )
