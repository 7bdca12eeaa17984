"""Filling the answer: the ranked list is walked, and a candidate beyond a shared limit lets the next move up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Mask, row_of
from kaireon_core.decisioning.rank import Indices, Ranked
from kaireon_core.decisioning.reasons import LegendBuilder, Reason
from kaireon_core.decisioning.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Filler:
    """Takes the best candidates of each customer until the answer is full.

    `shared_codes` maps the code of a shared limit in its own stage to its code here.
    """

    beyond_limit: int
    shared_codes: dict[int, int]

    def fill(self, state: State, ranked: Ranked, limit: int) -> list[Indices]:
        """Return the candidates of each customer's answer in order; explain the others in `state.reasons`."""
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


def _at(matrix: Mask, candidates: Indices) -> Mask:
    """Return a (B, C) or (1, C) matrix at the candidates of each customer, (B, n)."""
    if len(matrix) == 1:
        return matrix[0][candidates]
    return np.take_along_axis(matrix, candidates, axis=1)


def compile_fill(legend: LegendBuilder, shared_codes: Sequence[int]) -> Filler:
    """Return the filler; the reasons with these codes, of shared limits, get others here."""
    beyond_limit = legend.add("limit", "better candidates fill the answer")
    return Filler(
        beyond_limit=beyond_limit,
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
