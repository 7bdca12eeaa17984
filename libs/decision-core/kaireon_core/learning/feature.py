"""From typed columns to the numbers that trees split on, the same way in training and in scoring."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np

from kaireon_core.column import Column, Floats, Kind

# A categorical null, and every value that training has not seen.
NULL_CODE = 0.0


class FeatureKind(StrEnum):
    """How a feature's values are read: numbers as they are, text and booleans as categories."""

    NUMERIC = "numeric"
    TEXT = "text"
    BOOLEAN = "boolean"


# Field types of schemas -> kinds of features; the other types (dates, timestamps, json) are no features.
FEATURE_KINDS: dict[str, FeatureKind] = {
    "varchar": FeatureKind.TEXT,
    "text": FeatureKind.TEXT,
    "boolean": FeatureKind.BOOLEAN,
    "integer": FeatureKind.NUMERIC,
    "bigint": FeatureKind.NUMERIC,
    "double": FeatureKind.NUMERIC,
    "numeric": FeatureKind.NUMERIC,
}


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature of a trained version: `categories[i]` has code i + 1; null and whatever is unseen have code 0."""

    name: str
    kind: FeatureKind
    categories: tuple[str | bool, ...] = ()

    @property
    def is_categorical(self) -> bool:
        """Whether trees split it by membership."""
        return self.kind is not FeatureKind.NUMERIC


_CATEGORY_KINDS = {FeatureKind.TEXT: Kind.TEXT, FeatureKind.BOOLEAN: Kind.BOOLEAN}


def fit_feature(name: str, kind: FeatureKind, column: Column) -> Feature:
    """Return the feature with the categories found in its training column, in their natural order."""
    if kind is FeatureKind.NUMERIC:
        return Feature(name=name, kind=kind)
    seen: set[str | bool] = set(column.objects[column.kinds == _CATEGORY_KINDS[kind]].tolist())
    return Feature(name=name, kind=kind, categories=tuple(sorted(seen)))


class Encoder:
    """Turns columns of one feature into float64; a value of another kind counts as null."""

    __slots__ = ("_codes", "_wanted")

    def __init__(self, feature: Feature) -> None:
        """Look the codes up once."""
        self._wanted = None if feature.kind is FeatureKind.NUMERIC else _CATEGORY_TYPES[feature.kind]
        self._codes = {category: float(code) for code, category in enumerate(feature.categories, 1)}

    def encode(self, column: Column) -> Floats:
        """Return one number per row: NaN for a numeric null, a code for a category."""
        if self._wanted is None:
            return np.where(column.kinds == Kind.NUMBER, column.numbers, np.nan)
        return np.array(self.encode_values(column.objects.tolist()), np.float64)

    def encode_values(self, values: Iterable[Any]) -> list[float]:
        """Return one number per value: what `encode` makes of their column."""
        codes, wanted = self._codes, self._wanted
        if wanted is None:
            return [float(value) if type(value) in _NUMBER_TYPES else np.nan for value in values]
        return [codes.get(value, NULL_CODE) if type(value) is wanted else NULL_CODE for value in values]


_NUMBER_TYPES = (int, float)
_CATEGORY_TYPES: dict[FeatureKind, type] = {FeatureKind.TEXT: str, FeatureKind.BOOLEAN: bool}
