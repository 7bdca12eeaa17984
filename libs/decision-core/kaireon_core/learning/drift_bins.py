"""Two samples of one feature put into the same bins: both given, or the one as training has stored it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from kaireon_core.column import Column, Floats
from kaireon_core.learning.drift import Counts, KsTest, ks_test, ks_test_binned
from kaireon_core.learning.terms import text_of

_DECILES = np.linspace(0.1, 0.9, 9)
# Up to so many different numbers each has a bin of its own.
_FEW = 10
_NUMERIC, _CATEGORICAL = "numeric", "categorical"

Tally = Annotated[float, Meta(ge=0)]


class NumericReference(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_NUMERIC):
    """Numbers as training has seen them: `counts[i]` from `edges[i]` up to `edges[i + 1]`, the last edge included."""

    edges: list[float]
    counts: list[Tally]
    nulls: Tally = 0


class CategoricalReference(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_CATEGORICAL):
    """Categories as training has seen them, by their text; `other` counts those that are not listed."""

    counts: dict[str, Tally]
    nulls: Tally = 0
    other: Tally = 0


class ScoreReference(msgspec.Struct, frozen=True, kw_only=True):
    """Scores as training has seen them."""

    edges: list[float]
    counts: list[Tally]


class TrainingReference(msgspec.Struct, frozen=True, kw_only=True):
    """What a version keeps of the data that it was trained on."""

    features: dict[str, NumericReference | CategoricalReference] = {}
    score: ScoreReference | None = None


def binned_alike(reference: Column, current: Column) -> Counts | None:
    """Return two samples in bins made from the reference, None where one of them has no rows.

    Where the reference holds nothing but numbers and nulls, bins are its deciles, or one for each number when there
    are ten at most, and whatever else is current counts as null; otherwise they are its values and those of the other.
    """
    if not len(reference) or not len(current):
        return None
    if (reference.is_number | reference.is_null).all() and reference.is_number.any():
        return _numeric(reference, current)
    told = Counter(_texts(reference)), Counter(_texts(current))
    names = [*told[0], *(name for name in told[1] if name not in told[0])]
    return Counts(
        kind=_CATEGORICAL,
        reference=np.array([told[0][name] for name in names], np.float64),
        current=np.array([told[1][name] for name in names], np.float64),
        reference_nulls=len(reference) - told[0].total(),
        current_nulls=len(current) - told[1].total(),
    )


def binned_as_trained(reference: NumericReference | CategoricalReference, current: Column) -> Counts | None:
    """Return current values in the bins of a stored histogram, None where one of the two has no rows."""
    if not len(current):
        return None
    counts = (
        _as_numbers(reference, current) if isinstance(reference, NumericReference) else _as_names(reference, current)
    )
    return counts if counts.reference.sum() + counts.reference_nulls > 0 else None


def binned_numbers(edges: Sequence[float], counts: Sequence[float], numbers: Floats, weights: Floats) -> Counts:
    """Return weighted numbers in the bins of a stored histogram, whose outer bins are open.

    A histogram of one number only has a bin below and one above it, and one of nothing has one bin for all.
    """
    inner, stored = np.array(edges[1:-1], np.float64), np.array(counts or [0], np.float64)
    if edges and edges[0] == edges[-1]:
        inner, stored = np.array([edges[0], np.nextafter(edges[0], np.inf)]), np.array([0, stored.sum(), 0])
    places = np.searchsorted(inner, numbers, side="right")
    current = np.bincount(places, weights, len(inner) + 1).astype(np.float64)
    has_test = len(numbers) > 0 and stored.sum() > 0
    return Counts(
        kind=_NUMERIC,
        reference=stored,
        current=current,
        ks=ks_test_binned(stored, current) if has_test else None,
        method="binned" if has_test else None,
    )


def _as_numbers(reference: NumericReference, current: Column) -> Counts:
    numbers = current.numbers[current.is_number]
    counts = binned_numbers(reference.edges, reference.counts, numbers, np.ones(len(numbers)))
    nulls = len(current) - len(numbers)
    return msgspec.structs.replace(counts, reference_nulls=reference.nulls, current_nulls=nulls)


def _as_names(reference: CategoricalReference, current: Column) -> Counts:
    told = Counter(_texts(current))
    known = np.array([told[name] for name in reference.counts], np.float64)
    return Counts(
        kind=_CATEGORICAL,
        reference=np.array([*reference.counts.values(), reference.other], np.float64),
        current=np.append(known, told.total() - known.sum()),
        reference_nulls=reference.nulls,
        current_nulls=len(current) - told.total(),
    )


def _numeric(reference: Column, current: Column) -> Counts:
    numbers = reference.numbers[reference.is_number], current.numbers[current.is_number]
    cuts = _cuts(numbers[0])
    counts = [np.bincount(np.searchsorted(cuts, one), minlength=len(cuts) + 1).astype(np.float64) for one in numbers]
    has_test = len(numbers[1]) > 0
    ks: KsTest | None = ks_test(*numbers) if has_test else None
    return Counts(
        kind=_NUMERIC,
        reference=counts[0],
        current=counts[1],
        reference_nulls=len(reference) - len(numbers[0]),
        current_nulls=len(current) - len(numbers[1]),
        ks=ks,
        method="exact" if has_test else None,
    )


def _cuts(numbers: Floats) -> Floats:
    """Return where bins end, each end included in its bin; the last bin has none."""
    distinct = np.unique(numbers)
    if len(distinct) == 1:
        return np.array([np.nextafter(distinct[0], -np.inf), distinct[0]])
    if len(distinct) <= _FEW:
        return distinct[:-1] / 2 + distinct[1:] / 2
    return np.unique(np.quantile(numbers, _DECILES, method="inverted_cdf"))


def _texts(column: Column) -> list[str]:
    return [text for text in map(text_of, column.objects.tolist()) if text is not None]


def as_columns(rows: Mapping[str, Sequence[object]]) -> dict[str, Column]:
    """Return a column for each feature."""
    return {name: Column.from_values(list(values)) for name, values in rows.items()}
