"""Rows as the columns that linear models weigh: standardised numbers, one per category, one for what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats
from kaireon_core.learning.feature import Feature, FeatureKind
from kaireon_core.learning.linear import LinearState
from kaireon_core.learning.terms import text_of
from kaireon_core.learning.training_set import Refusal, TrainingRefused, TrainingSet

# Of a field with more categories the rarer ones count as missing.
MOST_CATEGORIES = 200
# Rows are made into columns so many at a time: memory does not grow with them.
CHUNK_ROWS = 16_384


class _Part(Enum):
    NUMBER = "number"
    CATEGORY = "category"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class _DesignColumn:
    """One column: of which feature, and which part of it; `code` is a category's, `name` its weight's."""

    feature: int
    part: _Part
    name: str
    code: float = 0.0
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Design:
    """The training rows of a set (those before `validation_start`) as p columns and a last one of ones, the bias."""

    rows: TrainingSet
    columns: tuple[_DesignColumn, ...]
    _known: tuple[NDArray[np.bool_], ...]

    @staticmethod
    def of(rows: TrainingSet) -> Design:
        """Return the columns that the training rows call for. Raises `TrainingRefused` for a name with an `=`."""
        training = rows.matrix[: rows.validation_start]
        columns, known = list[_DesignColumn](), list[NDArray[np.bool_]]()
        for place, feature in enumerate(rows.features):
            if "=" in feature.name:
                message = f"predictor {feature.name!r} has an '=' in its name, which weights of categories are told by"
                raise TrainingRefused(Refusal.UNKNOWN_PREDICTOR, message)
            values = training[:, place]
            mine, kept = _numeric(place, feature, values), np.zeros(0, np.bool_)
            if feature.kind is not FeatureKind.NUMERIC:
                mine, kept = _categorical(place, feature, values)
            columns += mine
            known.append(kept)
        return Design(rows, tuple(columns), tuple(known))

    def chunks(self, order: NDArray[np.int64] | None = None, size: int = CHUNK_ROWS) -> Iterator[tuple[Floats, Floats]]:
        """Yield (n, p + 1) columns and (n,) labels of the training rows, in this order, so many at a time."""
        count = self.rows.validation_start
        for start in range(0, count, size):
            taken = slice(start, min(count, start + size))
            rows = taken if order is None else order[taken]
            yield self.filled(self.rows.matrix[rows]), self.rows.labels[rows]

    def state(self, weights: Floats) -> LinearState:
        """Return what a model with these weights (p + 1,) is stored as."""
        *values, bias = weights.tolist()
        named = list(zip(self.columns, values, strict=True))
        numbers = [column for column in self.columns if column.part is _Part.NUMBER]
        return LinearState(
            weights={column.name: value for column, value in named if column.part is not _Part.MISSING},
            missing={column.name: value for column, value in named if column.part is _Part.MISSING},
            means={column.name: column.mean for column in numbers},
            scales={column.name: column.scale for column in numbers},
            bias=bias,
        )

    def filled(self, matrix: Floats) -> Floats:
        """Return the columns, shape (n, p + 1), of encoded rows (n, features)."""
        filled = np.ones((len(matrix), len(self.columns) + 1))
        for place, column in enumerate(self.columns):
            values = matrix[:, column.feature]
            if column.part is _Part.CATEGORY:
                filled[:, place] = values == column.code
            elif column.part is _Part.NUMBER:
                filled[:, place] = np.nan_to_num((values - column.mean) / column.scale, nan=0.0)
            else:
                filled[:, place] = self._is_missing(column.feature, values)
        return filled

    def _is_missing(self, feature: int, values: Floats) -> NDArray[np.bool_]:
        if self.rows.features[feature].kind is FeatureKind.NUMERIC:
            return np.isnan(values)
        return ~self._known[feature][values.astype(np.int64)]


def _numeric(place: int, feature: Feature, values: Floats) -> list[_DesignColumn]:
    numbers = values[~np.isnan(values)]
    mean, deviation = (float(numbers.mean()), float(numbers.std())) if len(numbers) else (0.0, 0.0)
    # What never differs tells nothing, and rounding must not make it seem to.
    is_constant = not len(numbers) or float(numbers.min()) == float(numbers.max())
    columns = list[_DesignColumn]()
    if not is_constant and deviation > 0:
        columns.append(_DesignColumn(place, _Part.NUMBER, feature.name, mean=mean, scale=deviation))
    if len(numbers) < len(values):
        columns.append(_DesignColumn(place, _Part.MISSING, feature.name))
    return columns


def _categorical(place: int, feature: Feature, values: Floats) -> tuple[list[_DesignColumn], NDArray[np.bool_]]:
    """Return a column per frequent category, and which codes have one; code 0, the null, never has."""
    counts = np.bincount(values.astype(np.int64), minlength=len(feature.categories) + 1)
    counts[0] = 0
    frequent = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    known = np.zeros(len(counts), np.bool_)
    known[frequent[counts[frequent] > 0]] = True
    columns = [
        _DesignColumn(place, _Part.CATEGORY, f"{feature.name}={text_of(category)}", code=float(code))
        for code, category in enumerate(feature.categories, 1)
        if known[code]
    ]
    if not known[values.astype(np.int64)].all():
        columns.append(_DesignColumn(place, _Part.MISSING, feature.name))
    return columns, known
