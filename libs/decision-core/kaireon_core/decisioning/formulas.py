"""Formulas of a flow: where the names in them come from, and their values for candidates or for chosen offers.

A bare name is a field of the offer, and where that is null the customer's attribute; the namespaces are those of
`kaireon_core.table`. From the score stage on `score` and `propensity` are the candidate's, null before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Column, Floats
from kaireon_core.decisioning.state import State
from kaireon_core.formula.cells import Cells, Formula, coalesce
from kaireon_core.table import Axis, is_bare

Rows = NDArray[np.int64]
# What the decision itself knows of a candidate.
_DECIDED: dict[str, Callable[[State], Floats | None]] = {
    "score": lambda state: state.score,
    "propensity": lambda state: state.propensity,
}


@dataclass(frozen=True, slots=True)
class FlowFormula:
    """A formula over the candidates of a flow; `reads` are the columns that it needs."""

    formula: Formula
    reads: tuple[str, ...]

    @staticmethod
    def of(text: str) -> FlowFormula:
        """Return the formula of a text that was checked when the flow was parsed."""
        formula = Formula.of(text)
        return FlowFormula(formula, tuple(name for one in formula.names for name in _columns_of(one)))

    def of_candidates(self, state: State) -> Cells:
        """Return the values for all candidates, in a shape that goes with (B, C)."""

        def place(column: Column, axis: Axis) -> Cells:
            cells = Cells.of_column(column)
            return cells.reshape(-1, 1) if axis is Axis.CUSTOMER else cells.reshape(1, -1)

        return self.formula.evaluate(lambda name: _read(state, name, place, Cells.of_numbers))

    def of_rows(self, state: State, customer: Rows, candidate: Rows) -> Cells:
        """Return the values for n pairs of customer and candidate, shape (n,) or (1,)."""

        def place(column: Column, axis: Axis) -> Cells:
            return Cells.of_column(column.take(customer if axis is Axis.CUSTOMER else candidate))

        def decided(numbers: Floats) -> Cells:
            return Cells.of_numbers(np.broadcast_to(numbers, state.alive.shape)[customer, candidate])

        return self.formula.evaluate(lambda name: _read(state, name, place, decided))


def _columns_of(name: str) -> tuple[str, ...]:
    if name in _DECIDED:
        return ()
    return (f"offer.{name}", name) if is_bare(name) else (name,)


def _read(state: State, name: str, place: Callable[[Column, Axis], Cells], decided: Callable[[Floats], Cells]) -> Cells:
    if name in _DECIDED:
        numbers = _DECIDED[name](state)
        return Cells.of(None) if numbers is None else decided(numbers)
    return coalesce(*(place(*state.table.column(column)) for column in _columns_of(name)))
