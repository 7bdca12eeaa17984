"""What a compiled contact policy is made of: where it applies, what it spares, counts and looks back to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Mask
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.contacts import HistoryRows
from kaireon_core.decisioning.coverage import Coverage, Scope, coverage_of
from kaireon_core.decisioning.history_needs import NOTHING, HistoryNeeds
from kaireon_core.decisioning.state import State

Counts: TypeAlias = NDArray[np.int64]
# Adds a reason: what the policy does (a predicate), and the details; returns its code.
AddReason: TypeAlias = Callable[[str, dict[str, Any]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A compiled policy and how far back it looks (ms; 0 = not at all).

    `shared_codes` are the reasons of what candidates of one answer share, so that they may bite again in it.
    """

    covered: Callable[[State], Mask]
    apply: Callable[[State], None]
    window_ms: int = 0
    needs_totals: bool = False
    history: HistoryNeeds = NOTHING
    shared_codes: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A coverage over the candidates of a flow."""

    coverage: Coverage
    of_candidates: Mask
    of_offers: Mask

    @staticmethod
    def of(scopes: Sequence[Scope], candidates: Candidates) -> Area:
        """Return what these scopes cover."""
        coverage = coverage_of(scopes, candidates.catalogue)
        return Area(
            coverage=coverage,
            of_candidates=coverage.of_candidates(candidates),
            of_offers=coverage.of_offers(candidates),
        )

    def candidates(self, state: State) -> Mask:
        """Return which candidates lie in it, (1, C) or (B, C)."""
        return state.covered(self.coverage, self.of_candidates, self.of_offers)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyScope:
    """Where a policy applies, what it counts, and what an `allow_override` of its node frees from it."""

    area: Area
    counting: Area
    freed: Area | None
    per_offer: bool
    spares_mandatory: bool

    def covered(self, state: State) -> Mask:
        """Return which candidates it covers, (1, C) or (B, C)."""
        return self.area.candidates(state)

    def binding(self, state: State) -> Mask:
        """Return which candidates it may drop, (1, C) or (B, C)."""
        covered = state.inside(self.covered(state))
        if self.spares_mandatory:
            covered = state.unless_mandatory(covered)
        return covered if self.freed is None else covered & ~self.freed.candidates(state)

    def counted(self, state: State, rows: HistoryRows) -> Mask:
        """Return which rows of the history count, (n,)."""
        return self.counting.coverage.of_history(rows, state.segments)

    def last_ms(self, state: State, rows: HistoryRows, counted: Mask) -> Counts:
        """Return when the last of the counted rows was: per customer (B, 1), or per candidate's offer (B, C)."""
        customers = state.table.customers
        if not self.per_offer:
            return rows.last(customers, counted)[:, None]
        offers = len(state.candidates.catalogue.offers)
        return rows.last_by_offer(customers, offers, counted)[:, state.candidates.offer]
