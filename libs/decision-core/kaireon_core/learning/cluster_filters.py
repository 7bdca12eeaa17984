"""Conditions that pick a cluster out of its schema, in the form that a segment takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from kaireon_core.column import Mask, Operator, compile_test
from kaireon_core.learning.cluster_matrix import Axis, ClusterField, ClusterMatrix, Level, numbers_of

_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One question on the way to a leaf: whether an axis lies at or below a threshold; `is_above`: it does not."""

    axis: int
    threshold: float
    is_above: bool


class FieldFilter(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a segment."""

    field: str
    operator: str
    value: Any = None


class ClusterFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions that must all hold, and how well they find the cluster among the analysed rows.

    `precision`: how many of the rows found are members; `recall`: how many of the members are found.
    """

    filters: tuple[FieldFilter, ...]
    matching: int
    precision: float
    recall: float


def best_filters(matrix: ClusterMatrix, members: Mask, leaves: Sequence[Sequence[Step]]) -> ClusterFilters | None:
    """Return the leaf that finds the members best (by F1, then fewest conditions); None when none finds any.

    Conditions are judged on the rows as they are stored, so what is said of them is true of the segment too.
    """
    judged = [_judged(matrix, members, filters) for leaf in leaves if (filters := _filters(matrix, leaf))]
    useful = [one for one in judged if one.precision > 0]
    return min(useful, key=lambda one: (-_f1(one), len(one.filters))) if useful else None


def _f1(found: ClusterFilters) -> float:
    return 2 * found.precision * found.recall / (found.precision + found.recall)


def _judged(matrix: ClusterMatrix, members: Mask, filters: Sequence[FieldFilter]) -> ClusterFilters:
    columns = {field.name: field.column for field in matrix.fields}
    holds = np.ones(len(members), bool)
    for one in filters:
        holds &= compile_test(Operator(one.operator), one.value)(columns[one.field])
    matching, hits = int(np.count_nonzero(holds)), int(np.count_nonzero(holds & members))
    return ClusterFilters(
        filters=tuple(filters),
        matching=matching,
        precision=hits / matching if matching else 0.0,
        recall=hits / int(np.count_nonzero(members)),
    )


def _filters(matrix: ClusterMatrix, leaf: Sequence[Step]) -> list[FieldFilter]:
    """Return the conditions of a leaf, joined by field."""
    places = dict.fromkeys(matrix.axes[step.axis].field for step in leaf)
    found = list[FieldFilter]()
    for place in places:
        steps = [(matrix.axes[step.axis], step) for step in leaf if matrix.axes[step.axis].field == place]
        field = matrix.fields[place]
        found += _of_levels(field, steps) if steps[0][0].is_level else _of_number(field, steps)
    return found


def _of_number(field: ClusterField, steps: Sequence[tuple[Axis, Step]]) -> list[FieldFilter]:
    """Return the tightest bounds; those of a field of whole numbers are whole."""
    bounds = [(axis.mean + step.threshold * axis.scale, step.is_above) for axis, step in steps]
    above = [bound for bound, is_above in bounds if is_above]
    below = [bound for bound, is_above in bounds if not is_above]
    numbers = numbers_of(field)
    known = numbers[~np.isnan(numbers)]
    is_whole = bool(np.array_equal(known, np.floor(known)))
    found = list[FieldFilter]()
    if above:
        found.append(_lower(field.name, max(above), is_whole=is_whole))
    if below:
        value = math.floor(min(below)) if is_whole else _rounded(min(below))
        found.append(FieldFilter(field=field.name, operator=Operator.LTE.value, value=value))
    return found


def _lower(name: str, bound: float, *, is_whole: bool) -> FieldFilter:
    if is_whole:
        return FieldFilter(field=name, operator=Operator.GTE.value, value=math.floor(bound) + 1)
    return FieldFilter(field=name, operator=Operator.GT.value, value=_rounded(bound))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _of_levels(field: ClusterField, steps: Sequence[tuple[Axis, Step]]) -> list[FieldFilter]:
    for axis, step in steps:
        if step.is_above:
            return [_level_filter(field.name, axis.level, Operator.EQ, Operator.IS_NULL)]
    excluded: list[Level] = [axis.level for axis, _ in steps]
    known = [level for level in excluded if level is not None]
    found = list[FieldFilter]()
    if len(known) < len(excluded):
        found.append(_level_filter(field.name, None, Operator.NEQ, Operator.IS_NOT_NULL))
    if len(known) == 1:
        found.append(_level_filter(field.name, known[0], Operator.NEQ, Operator.IS_NOT_NULL))
    elif known:
        found.append(FieldFilter(field=field.name, operator=Operator.NOT_IN.value, value=known))
    return found


def _level_filter(name: str, level: Level, known: Operator, unknown: Operator) -> FieldFilter:
    operator = unknown if level is None else known
    return FieldFilter(field=name, operator=operator.value, value=level)
