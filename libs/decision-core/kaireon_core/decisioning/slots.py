"""The ranking as a matrix, customers by places, for filling answers slot by slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.rank import Ranked
from kaireon_core.decisioning.state import SharedLimit


@dataclass(slots=True, kw_only=True)
class Rows:
    """Each customer's ranked candidates, (B, N), with their offers and cells, and which may still be taken."""

    candidate: Indices
    offer: Indices
    cell: Indices
    admissible: Mask

    @staticmethod
    def of(ranked: Ranked, candidates: Candidates, customers: int) -> Rows:
        """Return the ranking as a matrix; behind a customer's last candidate nothing is admissible."""
        starts = np.searchsorted(ranked.customer, np.arange(customers + 1))
        counts = np.diff(starts)
        most = int(counts.max(initial=0))
        places = starts[:-1, None] + np.arange(most)
        is_there = np.arange(most) < counts[:, None]
        padded, cell = np.zeros((2, customers, most), np.int64)
        padded[is_there] = ranked.candidate[places[is_there]]
        if ranked.cell is not None:
            cell[is_there] = ranked.cell[places[is_there]]
        return Rows(candidate=padded, offer=candidates.offer[padded], cell=cell, admissible=is_there)


@dataclass(slots=True, kw_only=True)
class Bound:
    """A shared limit over the ranking: where it binds and what counts, (B, N), and what remains, (B,)."""

    binding: Mask
    counting: Mask
    remaining: Indices

    @staticmethod
    def of(limit: SharedLimit, candidates: Indices) -> Bound:
        """Return the limit at the candidates of the ranking."""
        return Bound(
            binding=at_candidates(limit.binding, candidates),
            counting=at_candidates(limit.counting, candidates),
            remaining=limit.remaining.astype(np.int64),
        )

    def keeps_out(self) -> Mask:
        """Return what it forbids now, (B, N)."""
        return self.binding & (self.remaining <= 0)[:, None]


def at_candidates(matrix: Mask, candidates: Indices) -> Mask:
    """Return a (B, C) or (1, C) matrix at the candidates of each customer, (B, n)."""
    if len(matrix) == 1:
        return matrix[0][candidates]
    return np.take_along_axis(matrix, candidates, axis=1)


def by_customer(rows: list[NDArray[Any]], taken: list[Mask], customers: int, dtype: Any) -> list[NDArray[Any]]:
    """Return for each customer the values of the ranks that are taken, from one row per rank."""
    if not rows:
        return [np.empty(0, dtype) for _ in range(customers)]
    values, is_taken = np.array(rows, dtype), np.array(taken)
    return [values[is_taken[:, customer], customer] for customer in range(customers)]


def first_of(free: Mask, _rank: int) -> tuple[NDArray[np.intp], Floats]:
    """Return the first free row of each customer: what is not drawn is certain."""
    return free.argmax(axis=1), np.ones(len(free))


def mandatory_first(
    mandatory: Mask | None, candidates: Indices, free: Mask, place: NDArray[np.intp], chance: Floats
) -> tuple[NDArray[np.intp], Floats]:
    """Return what is drawn, but where a mandatory offer is left the first of these, which is no matter of chance."""
    if mandatory is None:
        return place, chance
    first = free & mandatory[candidates]
    is_certain = first.any(axis=1)
    return np.where(is_certain, first.argmax(axis=1), place), np.where(is_certain, 1.0, chance)
