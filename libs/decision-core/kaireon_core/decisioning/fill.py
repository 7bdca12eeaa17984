"""Filling the answer: the ranked list is walked, and a candidate that would break a cap lets the next move up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.column import row_of
from kaireon_core.decisioning.rank import Indices, Ranked
from kaireon_core.decisioning.reasons import LegendBuilder, Reason
from kaireon_core.decisioning.state import SharedCap, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Filler:
    """Takes the best candidates of each customer until the answer is full.

    `cap_codes` maps the code of a cap in the contact policy stage to its code here.
    """

    beyond_limit: int
    cap_codes: dict[int, int]

    def fill(self, state: State, ranked: Ranked, limit: int) -> list[Indices]:
        """Return the candidates of each customer's answer in order; explain the others in `state.reasons`."""
        starts = np.searchsorted(ranked.customer, np.arange(state.table.customers + 1))
        state.reasons[ranked.customer, ranked.candidate] = self.beyond_limit
        ends = np.minimum(starts[:-1] + limit, starts[1:])
        picks = [ranked.candidate[start:end] for start, end in zip(starts[:-1], ends, strict=True)]
        for customer in self._capped(state, picks):
            everything = ranked.candidate[starts[customer] : starts[customer + 1]]
            picks[customer] = self._walk(state, customer, everything, limit)
        for customer, picked in enumerate(picks):
            state.reasons[customer, picked] = 0
        return picks

    def _capped(self, state: State, picks: list[Indices]) -> list[int]:
        """Return the customers whose best candidates touch a binding cap; only these must be walked."""
        binding = set[int]()
        most = max(map(len, picks), default=0)
        for cap in state.shared_caps:
            for customer in np.flatnonzero(cap.remaining < most).tolist():
                taken = np.count_nonzero(row_of(cap.covered, customer)[picks[customer]])
                if taken > cap.remaining[customer]:
                    binding.add(customer)
        return sorted(binding)

    def _walk(self, state: State, customer: int, ranked: Indices, limit: int) -> Indices:
        remaining = [int(cap.remaining[customer]) for cap in state.shared_caps]
        picked = list[int]()
        for candidate in ranked.tolist():
            if len(picked) == limit:
                break
            mine = [index for index, cap in enumerate(state.shared_caps) if _covers(cap, customer, candidate)]
            exhausted = [index for index in mine if remaining[index] <= 0]
            if exhausted:
                state.reasons[customer, candidate] = self.cap_codes[state.shared_caps[exhausted[0]].code]
                continue
            for index in mine:
                remaining[index] -= 1
            picked.append(candidate)
        return np.array(picked, np.int64)


def _covers(cap: SharedCap, customer: int, candidate: int) -> bool:
    return bool(row_of(cap.covered, customer)[candidate])


def compile_fill(legend: LegendBuilder) -> Filler:
    """Return the filler; every cap that the contact policies have added to the legend may bite here again."""
    beyond_limit = legend.add("limit", "better candidates fill the answer")
    caps = {code: reason for code, reason in enumerate(legend.reasons, 1) if _is_cap(reason)}
    return Filler(
        beyond_limit=beyond_limit,
        cap_codes={
            code: legend.add(
                reason.type,
                f"{reason.message}, counting this answer",
                entity_id=reason.entity_id,
                entity_name=reason.entity_name,
                detail=reason.detail,
            )
            for code, reason in caps.items()
        },
    )


def _is_cap(reason: Reason) -> bool:
    return reason.stage == "contact_policy" and reason.type == "frequency_cap"
