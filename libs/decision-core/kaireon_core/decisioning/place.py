"""Placing: ranked candidates go to the placements of one answer, within their slots and all that the answer shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Mask
from kaireon_core.decisioning.assignment import Option, best_rows
from kaireon_core.decisioning.candidates import Indices
from kaireon_core.decisioning.cells import Cells
from kaireon_core.decisioning.slots import Bound, Rows
from kaireon_core.decisioning.state import State


@dataclass(slots=True, kw_only=True)
class Allotment:
    """What is left of the slots while an answer is filled, (B, cells)."""

    cells: Cells
    left: Indices

    @staticmethod
    def of(cells: Cells, customers: int) -> Allotment:
        """Return all slots, for each customer."""
        slots = np.array([cell.slots for cell in cells.cells], np.int64)
        return Allotment(cells=cells, left=np.tile(slots, (customers, 1)))

    def open(self, rows: Rows, free: Mask) -> Mask:
        """Return the part of the free rows whose placement has a slot, and where placements take turns its turn."""
        if not self.left.shape[1]:
            return free & False
        free = free & (np.take_along_axis(self.left, rows.cell, axis=1) > 0)
        if not self.cells.in_turn or not free.shape[1]:
            return free
        first = np.take_along_axis(rows.cell, free.argmax(axis=1)[:, None], axis=1)
        return free & (rows.cell == first)

    def take(self, rows: Rows, place: Indices, is_taken: Mask) -> None:
        """Give each customer's row at `place` a slot of its placement."""
        everyone = np.flatnonzero(is_taken)
        self.left[everyone, rows.cell[everyone, place[everyone]]] -= 1
        if self.cells.is_unique:
            offer = rows.offer[everyone, place[everyone]]
            rows.admissible[everyone] &= rows.offer[everyone] != offer[:, None]


def optimal_rows(state: State, rows: Rows, bounds: list[Bound], cells: Cells, limit: int) -> list[list[int]]:
    """Return each customer's rows with the greatest total score.

    One that would break a limit that the answer shares is left out, and the rest allotted anew until none does.
    """
    slots = [min(cell.slots, limit) for cell in cells.cells]
    return [_optimal(state, rows, bounds, slots, customer, limit) for customer in range(len(rows.candidate))]


def _optimal(state: State, rows: Rows, bounds: list[Bound], slots: list[int], customer: int, limit: int) -> list[int]:
    candidates = rows.candidate[customer]
    assert state.score is not None  # noqa: S101 - the score stage has run
    scores = state.score[customer if len(state.score) > 1 else 0][candidates].tolist()
    must = np.zeros(len(candidates), np.bool_) if state.mandatory is None else state.mandatory[candidates]
    options = [
        Option(
            row=row,
            offer=int(rows.offer[customer, row]),
            cell=int(rows.cell[customer, row]),
            score=scores[row],
            must=bool(must[row]),
        )
        for row in np.flatnonzero(rows.admissible[customer]).tolist()
    ]
    while True:
        chosen = best_rows(options, slots, limit)
        breaking = _breaking(chosen, bounds, customer)
        if not breaking:
            return chosen
        options = [one for one in options if one.row not in breaking]


def _breaking(chosen: list[int], bounds: list[Bound], customer: int) -> set[int]:
    """Return the rows that break a limit, counting those before them."""
    left = [int(one.remaining[customer]) for one in bounds]
    breaking = set[int]()
    for row in chosen:
        if any(one.binding[customer, row] and rest <= 0 for one, rest in zip(bounds, left, strict=True)):
            breaking.add(row)
        else:
            left = [rest - int(one.counting[customer, row]) for one, rest in zip(bounds, left, strict=True)]
    return breaking
