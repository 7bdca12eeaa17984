"""One condition of a filter or rule as an operation on the state: about the customer, or about the candidate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from kaireon_core.column import Column, Mask, Test
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.state import State
from kaireon_core.table import Axis, axis_of, is_of_offer

# Where a condition holds: (B, 1) when it is about the customer, (1, C) when it is about the candidate.
Holding: TypeAlias = Callable[[State], Mask]


def compile_condition(name: str, holds: Test, candidates: Candidates) -> Holding:
    """Return where the column of this name satisfies `holds`; what is about the candidate is evaluated once, now.

    A bare offer has no creative, channel and placement: their fields are null.
    """
    if axis_of(name) is Axis.CUSTOMER:
        return lambda state: holds(state.table.column(name)[0])[:, None]
    of_candidates = holds(candidates.column(name))[None, :]
    if is_of_offer(name):
        return lambda _state: of_candidates
    of_bare = holds(Column.nulls(1))
    return lambda state: of_candidates if state.bare is None else np.where(state.bare, of_bare, of_candidates)
