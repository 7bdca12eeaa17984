"""The assignment problem: which offer goes to which slot, so that the scores add up to the most.

Weights are whole numbers, so that equal totals are told apart exactly: the last bits of a weight stand for its place in
the ranking, and of several best assignments the one wins that holds the candidate ranked first, then second, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SCALE = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A row of the ranking: an offer for a cell. `must` comes before every score."""

    row: int
    offer: int
    cell: int
    score: float
    must: bool


def best_rows(options: Sequence[Option], slots: Sequence[int], limit: int) -> list[int]:
    """Return the rows of the best assignment in ranking order: each offer once, at most `limit` slots filled."""
    options = [one for one in options if one.must or one.score >= 0]
    cells = [cell for cell, count in enumerate(slots) for _ in range(count)]
    if not options or not cells or limit <= 0:
        return []
    options = _worth_asking(options, len(cells))
    weights = _weights(options)
    offers = sorted({one.offer for one in options})
    place = {offer: at for at, offer in enumerate(offers)}
    by_cell: dict[int, dict[int, int]] = {cell: {} for cell in cells}
    for at, one in enumerate(options):
        by_cell[one.cell][place[one.offer]] = at
    # A slot may stay empty; those beyond the limit must.
    everything = sum(weights) + 1
    empty = max(len(cells) - limit, 0)
    costs = [
        [-weights[by_cell[cell][at]] if at in by_cell[cell] else everything * 4 for at in range(len(offers))]
        + [-everything] * empty
        + [0] * len(cells)
        for cell in cells
    ]
    chosen = _cheapest(costs)
    found = [by_cell[cell].get(column) for cell, column in zip(cells, chosen, strict=True) if column < len(offers)]
    return sorted(options[at].row for at in found if at is not None)


def _worth_asking(options: Sequence[Option], slots: int) -> list[Option]:
    """Return the options without those that so many better ones of their cell stand before that none is needed."""
    weighed = sorted(options, key=lambda one: (not one.must, -_whole(one), one.row))
    taken = dict[int, int]()
    kept = list[Option]()
    for one in weighed:
        taken[one.cell] = taken.get(one.cell, 0) + 1
        if taken[one.cell] <= slots:
            kept.append(one)
    return sorted(kept, key=lambda one: one.row)


def _whole(one: Option) -> int:
    return round(one.score * _SCALE)


def _weights(options: Sequence[Option]) -> list[int]:
    count, most = len(options), sum(_whole(one) for one in options if one.score >= 0) + 1
    return [
        ((_whole(one) + (most if one.must else 0)) << count) + (1 << (count - 1 - at)) for at, one in enumerate(options)
    ]


def _cheapest(costs: list[list[int]]) -> list[int]:
    """Return a column for each row, no two alike, with the least sum (the Hungarian method, by potentials)."""
    rows, columns = len(costs), len(costs[0])
    of_row, of_column = [0] * (rows + 1), [0] * (columns + 1)
    taken_by, before = [0] * (columns + 1), [0] * (columns + 1)
    for row in range(1, rows + 1):
        taken_by[0], column = row, 0
        least: list[int | None] = [None] * (columns + 1)
        is_used = [False] * (columns + 1)
        while taken_by[column]:
            is_used[column] = True
            here, costs_here = taken_by[column], costs[taken_by[column] - 1]
            step, nearest = None, 0
            for other in range(1, columns + 1):
                if is_used[other]:
                    continue
                reduced = costs_here[other - 1] - of_row[here] - of_column[other]
                known = least[other]
                if known is None or reduced < known:
                    least[other] = known = reduced
                    before[other] = column
                if step is None or known < step:
                    step, nearest = known, other
            _shift(step or 0, is_used, taken_by, of_row, of_column, least)
            column = nearest
        while column:
            taken_by[column], column = taken_by[before[column]], before[column]
    found = [0] * rows
    for column in range(1, columns + 1):
        if taken_by[column]:
            found[taken_by[column] - 1] = column - 1
    return found


def _shift(
    step: int,
    is_used: list[bool],
    taken_by: list[int],
    of_row: list[int],
    of_column: list[int],
    least: list[int | None],
) -> None:
    for column, used in enumerate(is_used):
        known = least[column]
        if used:
            of_row[taken_by[column]] += step
            of_column[column] -= step
        elif known is not None:
            least[column] = known - step
