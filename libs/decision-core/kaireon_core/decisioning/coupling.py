"""Channel coupling: an atomic channel of which one placement stays empty is emptied altogether."""

from __future__ import annotations

import numpy as np

from kaireon_core.decisioning.cells import Cells, Placing
from kaireon_core.decisioning.fill import Filled
from kaireon_core.decisioning.state import State


def couple(state: State, placing: Placing, cells: Cells, filled: Filled) -> tuple[Filled, list[list[int]]]:
    """Return the answers without the placements of broken channels, and each customer's emptied channels."""
    customers, channel = len(filled.picks), np.array([cell.channel for cell in cells.cells], np.int64)
    is_atomic = np.append(placing.atomic, False)[channel]
    if not is_atomic.any() or filled.cells is None:
        return filled, [[] for _ in range(customers)]
    picks, chances, placed, emptied = (
        list(filled.picks),
        list(filled.probabilities or ()),
        list(filled.cells),
        list[list[int]](),
    )
    for customer, mine in enumerate(filled.cells):
        is_filled = np.isin(np.arange(len(channel)), mine)
        broken = set(channel[is_atomic & ~is_filled].tolist()) & set(channel[is_atomic & is_filled].tolist())
        emptied.append(sorted(broken))
        if broken:
            kept = ~np.isin(channel[mine], list(broken))
            state.reasons[customer, picks[customer][~kept]] = placing.coupled
            picks[customer], placed[customer] = picks[customer][kept], mine[kept]
            state.reasons[customer, picks[customer]] = 0
            if chances:
                chances[customer] = chances[customer][kept]
    return Filled(picks=picks, probabilities=chances or filled.probabilities, cells=placed), emptied
