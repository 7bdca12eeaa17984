"""Rows as points between which distances mean something: numbers standardised, categories one column each.

Two rows drawn at random differ by a squared distance of 2 in a standardised number, and of 2(1 - sum p^2) <= 2 in the
columns of one categorical field: neither kind outweighs the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from kaireon_core.column import Column, Floats
from kaireon_core.learning.analysis import AnalysisRefusal, AnalysisRefused
from kaireon_core.learning.feature import FeatureKind

MINIMUM_ROWS = 20
# Rarer values share no column: they are only "none of these".
MOST_LEVELS = 20
# So many columns keep fifty thousand rows within 100 MB; where fields are many, each gets fewer levels.
MOST_AXES = 200
_FEWEST_LEVELS = 2
# A text with more values than this, most rows having one of their own, names its row and says nothing about it.
_MOST_NAMES = 50

Level = str | bool | None


class IgnoredField(msgspec.Struct, frozen=True, kw_only=True):
    """A field that was left out, and why: constant, empty, or identifier."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterField:
    """One field: its values as stored."""

    name: str
    kind: FeatureKind
    column: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One column of the matrix: the standardised number of a field, or whether it has a level.

    A number x stands as (x - mean) / scale.
    """

    field: int
    level: Level = None
    is_level: bool = False
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMatrix:
    """What distances are measured in: (n, a) values, one axis per column."""

    fields: tuple[ClusterField, ...]
    axes: tuple[Axis, ...]
    values: Floats
    ignored: tuple[IgnoredField, ...]


def cluster_matrix(fields: Sequence[ClusterField], row_count: int) -> ClusterMatrix:
    """Return the rows as points. Raises `AnalysisRefused` where there are too few, or nothing tells them apart."""
    if row_count < MINIMUM_ROWS:
        message = f"{row_count} rows are too few; at least {MINIMUM_ROWS} are needed"
        raise AnalysisRefused(AnalysisRefusal.TOO_FEW_ROWS, message)
    kept, ignored = list[ClusterField](), list[IgnoredField]()
    for field in fields:
        reason = _reason_to_ignore(field)
        if reason is None:
            kept.append(field)
        else:
            ignored.append(IgnoredField(name=field.name, reason=reason))
    if not kept:
        told = ", ".join(f"{one.name} ({one.reason})" for one in ignored)
        raise AnalysisRefused(AnalysisRefusal.CONSTANT_FEATURES, f"no field tells rows apart: {told}")
    levels = _levels_each(kept)
    columns = [one for place, field in enumerate(kept) for one in _columns(place, field, levels)]
    return ClusterMatrix(
        fields=tuple(kept),
        axes=tuple(axis for axis, _ in columns),
        values=np.column_stack([values for _, values in columns]),
        ignored=tuple(ignored),
    )


def numbers_of(field: ClusterField) -> Floats:
    """Return a numeric field's values, NaN for whatever is no finite number."""
    numbers = np.where(field.column.is_number, field.column.numbers, np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def levels_of(field: ClusterField) -> list[Level]:
    """Return a categorical field's values, null for whatever is of another kind."""
    wanted = str if field.kind is FeatureKind.TEXT else bool
    return [value if type(value) is wanted else None for value in field.column.objects.tolist()]


def _reason_to_ignore(field: ClusterField) -> str | None:
    if field.kind is FeatureKind.NUMERIC:
        numbers = numbers_of(field)
        known = numbers[~np.isnan(numbers)]
        if not len(known):
            return "empty"
        return "constant" if known.min() == known.max() else None
    counts = Counter(levels_of(field))
    known_count = sum(count for level, count in counts.items() if level is not None)
    if known_count == 0:
        return "empty"
    if len(counts) == 1:
        return "constant"
    return "identifier" if len(counts) > max(_MOST_NAMES, known_count // 2) else None


def _levels_each(fields: Sequence[ClusterField]) -> int:
    """Return how many levels of a categorical field get a column."""
    numeric = sum(field.kind is FeatureKind.NUMERIC for field in fields)
    room = (MOST_AXES - numeric) // max(1, len(fields) - numeric)
    return min(MOST_LEVELS, max(_FEWEST_LEVELS, room))


def _columns(place: int, field: ClusterField, most: int) -> Iterator[tuple[Axis, Floats]]:
    if field.kind is FeatureKind.NUMERIC:
        yield _standardised(place, numbers_of(field))
        return
    levels = levels_of(field)
    # The most frequent first; equal ones in a fixed order.
    ranked = sorted(Counter(levels).items(), key=lambda counted: (-counted[1], str(counted[0])))
    for level, _ in ranked[:most]:
        holds = np.array([value is level or value == level for value in levels], np.float64)
        yield Axis(field=place, level=level, is_level=True), holds


def _standardised(place: int, numbers: Floats) -> tuple[Axis, Floats]:
    """Return numbers with mean 0 and deviation 1; one that is not known stands at the mean."""
    known = numbers[~np.isnan(numbers)]
    # Squares of the largest numbers would overflow.
    unit = float(np.abs(known).max())
    mean = float((known / unit).mean()) * unit
    scale = float((known / unit - mean / unit).std()) * unit
    if scale == 0:
        scale = unit
    values = np.where(np.isnan(numbers), 0.0, numbers / scale - mean / scale)
    return Axis(field=place, mean=mean, scale=scale), values
