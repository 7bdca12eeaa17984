"""Filling the answer: the ranked list is walked, and a candidate beyond a shared limit lets the next move up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats, Mask, any_in, row_of
from kaireon_core.decisioning.explore import Explore
from kaireon_core.decisioning.rank import DECIMALS, Indices, Ranked
from kaireon_core.decisioning.reasons import LegendBuilder, Reason
from kaireon_core.decisioning.state import SharedLimit, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Filler:
    """Takes the best candidates of each customer until the answer is full.

    `shared_codes` maps the code of a shared limit in its own stage to its code here.
    """

    beyond_limit: int
    shared_codes: dict[int, int]
    explore: Explore | None

    def fill(self, state: State, ranked: Ranked, limit: int) -> list[Indices]:
        """Return the candidates of each customer's answer in order; explain the others in `state.reasons`."""
        if self.explore is not None:
            return self._draw(self.explore, state, ranked, limit)
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

    def _draw(self, explore: Explore, state: State, ranked: Ranked, limit: int) -> list[Indices]:
        """Return what is drawn, rank by rank for all customers at once, and leave the probabilities in the state.

        What is left over has the reason of the first limit that keeps it out when all is drawn, if one does.
        """
        candidates, admissible = _padded(ranked, state.table.customers)
        everyone = np.arange(len(candidates))
        assert state.score is not None  # noqa: S101 - the score stage has run
        scores = np.round(np.broadcast_to(state.score, state.alive.shape)[everyone[:, None], candidates], DECIMALS)
        choose = explore.chooser(state, candidates, scores)
        bounds = [_Bound.of(one, candidates) for one in state.shared_limits]
        chosen, chances, taken = list[Indices](), list[Floats](), list[Mask]()
        for rank in range(1, min(limit, candidates.shape[1]) + 1):
            free = admissible.copy()
            for one in bounds:
                free &= ~one.keeps_out()
            is_drawn = np.count_nonzero(free, axis=1) > 0
            if not any_in(is_drawn):
                break
            place, chance = _mandatory_first(state.mandatory, candidates, free, *choose(free, rank))
            admissible[everyone[is_drawn], place[is_drawn]] = False
            for one in bounds:
                one.remaining -= one.counting[everyone, place] & is_drawn
            chosen.append(candidates[everyone, place])
            chances.append(chance)
            taken.append(is_drawn)
        state.reasons[ranked.customer, ranked.candidate] = self.beyond_limit
        for limit_, one in reversed(list(zip(state.shared_limits, bounds, strict=True))):
            customer, place = np.nonzero(admissible & one.keeps_out())
            state.reasons[customer, candidates[customer, place]] = self.shared_codes[limit_.code]
        picks = _by_customer(chosen, taken, len(candidates), np.int64)
        state.probabilities = _by_customer(chances, taken, len(candidates), np.float64)
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
            counting = _at(limit.counting, best) & is_taken
            taken_before = np.cumsum(counting, axis=1) - counting
            is_beyond = taken_before >= limit.remaining[:, None]
            runs_into |= (_at(limit.binding, best) & is_taken & is_beyond).any(axis=1)
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


@dataclass(slots=True, kw_only=True)
class _Bound:
    """A shared limit over the padded ranking: where it binds and what counts, (B, N), and what remains, (B,)."""

    binding: Mask
    counting: Mask
    remaining: Indices

    @staticmethod
    def of(limit: SharedLimit, candidates: Indices) -> _Bound:
        return _Bound(
            binding=_at(limit.binding, candidates),
            counting=_at(limit.counting, candidates),
            remaining=limit.remaining.astype(np.int64),
        )

    def keeps_out(self) -> Mask:
        return self.binding & (self.remaining <= 0)[:, None]


def _padded(ranked: Ranked, customers: int) -> tuple[Indices, Mask]:
    """Return each customer's candidates in ranking order, (B, N), and which of them there are."""
    starts = np.searchsorted(ranked.customer, np.arange(customers + 1))
    counts = np.diff(starts)
    most = int(counts.max(initial=0))
    places = starts[:-1, None] + np.arange(most)
    is_there = np.arange(most) < counts[:, None]
    padded = np.zeros((customers, most), np.int64)
    padded[is_there] = ranked.candidate[places[is_there]]
    return padded, is_there


def _by_customer(rows: list[NDArray[Any]], taken: list[Mask], customers: int, dtype: Any) -> list[NDArray[Any]]:
    """Return for each customer the values of the ranks that are taken, from one row per rank."""
    if not rows:
        return [np.empty(0, dtype) for _ in range(customers)]
    values, is_taken = np.array(rows, dtype), np.array(taken)
    return [values[is_taken[:, customer], customer] for customer in range(customers)]


def _mandatory_first(
    mandatory: Mask | None, candidates: Indices, free: Mask, place: NDArray[np.intp], chance: Floats
) -> tuple[NDArray[np.intp], Floats]:
    """Return what is drawn, but where a mandatory offer is left the first of these, which is no matter of chance."""
    if mandatory is None:
        return place, chance
    first = free & mandatory[candidates]
    is_certain = first.any(axis=1)
    return np.where(is_certain, first.argmax(axis=1), place), np.where(is_certain, 1.0, chance)


def _at(matrix: Mask, candidates: Indices) -> Mask:
    """Return a (B, C) or (1, C) matrix at the candidates of each customer, (B, n)."""
    if len(matrix) == 1:
        return matrix[0][candidates]
    return np.take_along_axis(matrix, candidates, axis=1)


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
