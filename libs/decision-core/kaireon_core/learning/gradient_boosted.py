"""Gradient-boosted trees: one matrix, one prediction for all candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats
from kaireon_core.learning.calibration import Calibrate, CalibrationMap, calibrate_by
from kaireon_core.learning.feature import Encoder, Feature
from kaireon_core.learning.leaves import LeafPart, LeafTable
from kaireon_core.learning.model import Contribution, CustomerFields, Explanation, Fields, Scores
from kaireon_core.table import Axis

# Customers are predicted in chunks of at most this many numbers (64 MB); one customer is always one chunk.
_CHUNK_CELLS = 8_000_000


@dataclass(frozen=True, slots=True)
class Trees:
    """An ensemble as functions, single-threaded and deterministic, row by row.

    `raw`: (n, f) -> (n,) log-odds. `contributions`: (n, f) -> (n, f + 1) TreeSHAP values (Lundberg et al. 2020), the
    last one the base value; each row sums to its raw value. `leaves` is the ensemble by its leaves, None when it is too
    large for that.
    """

    raw: Callable[[Floats], Floats]
    contributions: Callable[[Floats], Floats]
    leaves: LeafTable | None = None


class GradientBoostedState(msgspec.Struct, frozen=True, kw_only=True):
    """What a trained version is made of: the order, kinds and categories of its features, and its trees as text.

    `calibration` turns log-odds into the score; without it, that is the sigmoid.
    """

    features: tuple[Feature, ...]
    trees: str
    calibration: CalibrationMap | None = None


@dataclass(frozen=True, slots=True)
class GradientBoosted:
    """A compiled ensemble. Raw is the log-odds, the score what calibration makes of it."""

    fields: tuple[str, ...]
    _encoders: tuple[Encoder, ...]
    _trees: Trees
    _calibrate: Calibrate

    @staticmethod
    def compile(state: GradientBoostedState, trees: Trees) -> GradientBoosted:
        """Return the model of a trained version; `trees` is what its text was loaded as."""
        names = tuple(feature.name for feature in state.features)
        return GradientBoosted(names, tuple(map(Encoder, state.features)), trees, calibrate_by(state.calibration))

    def score(self, table: Fields) -> Scores:
        """Return the scores, shape (B, 1) when no feature depends on the candidate, (1, C) when all of them do."""
        encoded = self._encode(table)
        rows = table.customers if any(axis is Axis.CUSTOMER for _, axis in encoded) else 1
        columns = table.candidates if any(axis is Axis.CANDIDATE for _, axis in encoded) else 1
        raw = np.empty((rows, columns))
        step = max(1, _CHUNK_CELLS // max(1, columns * len(encoded)))
        for start in range(0, rows, step):
            matrix = _matrix(encoded, slice(start, min(rows, start + step)), columns)
            raw[start : start + step] = self._trees.raw(matrix).reshape(-1, columns)
        return Scores(self._calibrate(raw), raw)

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return one contribution per feature, the strongest first."""
        contributions: list[Contribution] = []
        row: list[float] = []
        for name, encoder in zip(self.fields, self._encoders, strict=True):
            column, axis = table.column(name)
            value = column.take(np.array([customer if axis is Axis.CUSTOMER else candidate]))
            row.append(float(encoder.encode(value)[0]))
            contributions.append(Contribution(field=name, actual=value.objects[0], contribution=0.0))
        *parts, base = self._trees.contributions(np.array([row]))[0].tolist()
        explained = [
            msgspec.structs.replace(contribution, contribution=part)
            for contribution, part in zip(contributions, parts, strict=True)
        ]
        return Explanation(base, tuple(sorted(explained, key=lambda item: (-abs(item.contribution), item.field))))

    def bound(self, candidates: Fields) -> BoundTrees | BoundLeaves:
        """Return the ensemble with the candidates' features encoded once, and their leaves found where it has them."""
        encoded = self._encode(candidates)
        base = np.empty((candidates.candidates, len(encoded)))
        places = [place for place, (_, axis) in enumerate(encoded) if axis is Axis.CUSTOMER]
        for place, (values, axis) in enumerate(encoded):
            base[:, place] = values if axis is Axis.CANDIDATE else np.nan
        customers = CustomerFeatures(tuple((self.fields[place], self._encoders[place]) for place in places))
        leaves = self._trees.leaves
        if leaves is None:
            return BoundTrees(
                _trees=self._trees,
                _base=base,
                _places=np.array(places, np.int64),
                _customers=customers,
                _calibrate=self._calibrate,
            )
        own = [place for place in range(len(encoded)) if place not in places]
        values = leaves.part(own).reached(base[:, own]) * leaves.values
        return BoundLeaves(_part=leaves.part(places), _values=values, _customers=customers, _calibrate=self._calibrate)

    def _encode(self, table: Fields) -> list[tuple[Floats, Axis]]:
        found = [table.column(name) for name in self.fields]
        return [(encoder.encode(column), axis) for encoder, (column, axis) in zip(self._encoders, found, strict=True)]


@dataclass(frozen=True, slots=True)
class CustomerFeatures:
    """The features of an ensemble that are about the customer."""

    _encoders: tuple[tuple[str, Encoder], ...]

    def encode(self, table: CustomerFields) -> Floats:
        """Return their values, shape (B, features)."""
        columns = [encoder.encode_values(table.values(name)) for name, encoder in self._encoders]
        return np.array(columns, np.float64).reshape(len(columns), table.customers).T


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundLeaves:
    """An ensemble over fixed candidates: `_values` (C, L) are the values of the leaves that each can reach, else 0."""

    _part: LeafPart
    _values: Floats
    _customers: CustomerFeatures
    _calibrate: Calibrate

    def score_rows(self, table: CustomerFields, rows: NDArray[np.int64]) -> Floats:
        """Return the scores, shape (B, rows), the same whoever else is scored; `learning.leaves` has the formula."""
        customers, values = self._customers.encode(table), self._values.take(rows, axis=0).T
        raw = np.empty((len(customers), len(rows)))
        step = max(1, _CHUNK_CELLS // max(1, len(values)))
        for start in range(0, len(customers), step):
            raw[start : start + step] = self._part.reached(customers[start : start + step]) @ values
        return self._calibrate(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTrees:
    """An ensemble over fixed candidates: `_base` is their (C, features) matrix, `_places` where the customer's go."""

    _trees: Trees
    _base: Floats
    _places: NDArray[np.int64]
    _customers: CustomerFeatures
    _calibrate: Calibrate

    def score_rows(self, table: CustomerFields, rows: NDArray[np.int64]) -> Floats:
        """Return the scores, shape (B, rows); equal to those of `GradientBoosted.score` to the last bit."""
        customers = self._customers.encode(table)
        scores = np.empty((table.customers, len(rows)))
        base = self._base[rows]
        step = max(1, _CHUNK_CELLS // max(1, base.size))
        for start in range(0, table.customers, step):
            end = min(table.customers, start + step)
            cells = np.repeat(base[None], end - start, axis=0)
            if len(self._places):
                cells[:, :, self._places] = customers[start:end, None, :]
            scores[start:end] = self._trees.raw(cells.reshape(-1, base.shape[1])).reshape(end - start, -1)
        return self._calibrate(scores)


def _matrix(encoded: list[tuple[Floats, Axis]], customers: slice, candidates: int) -> Floats:
    """Return the (customers * candidates, features) matrix of some customers, customer by customer."""
    cells = np.empty((customers.stop - customers.start, candidates, len(encoded)))
    for feature, (values, axis) in enumerate(encoded):
        cells[:, :, feature] = values[customers, None] if axis is Axis.CUSTOMER else values
    return cells.reshape(-1, len(encoded))
