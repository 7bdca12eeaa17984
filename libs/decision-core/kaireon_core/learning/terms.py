"""What the value of one field adds to a raw score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kaireon_core.column import Column, Floats, Kind

# Numbers beyond it count as it: a sum of products stays finite.
LARGEST_INPUT = 1e100


class Term(Protocol):
    """What the values of one field add to the raw score; the same number for a value in either way of asking."""

    def value(self, value: object) -> float:
        """Return what one value adds."""
        ...

    def column(self, column: Column) -> Floats:
        """Return what each row adds, shape (n,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericTerm:
    """Adds `slope` times how far a number or boolean is from `mean`, and `missing` for anything else."""

    slope: float
    mean: float
    missing: float

    def value(self, value: object) -> float:
        """Return what one value adds."""
        if type(value) in _NUMBER_TYPES:
            return (held(float(value)) - self.mean) * self.slope  # pyright: ignore[reportArgumentType] - a number
        return self.missing

    def column(self, column: Column) -> Floats:
        """Return what each row adds, shape (n,)."""
        is_number = (column.kinds == Kind.NUMBER) | (column.kinds == Kind.BOOLEAN)
        numbers = np.clip(column.numbers, -LARGEST_INPUT, LARGEST_INPUT)
        return np.where(is_number, (numbers - self.mean) * self.slope, self.missing)


_NUMBER_TYPES = frozenset({int, float, bool})


def is_number(value: object) -> bool:
    """Return whether a value adds what a number does; a boolean is 1 or 0."""
    return type(value) in _NUMBER_TYPES


def held(number: float) -> float:
    """Return a number, held to what sums can take."""
    return min(max(number, -LARGEST_INPUT), LARGEST_INPUT)


def text_of(value: object) -> str | None:
    """Return how a value is written as a category: text as it is, `true`, `5`, `0.5`; None where there is no value."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < LARGEST_INPUT else repr(value)
    return None
