"""A model as the engine sees it: columns in, scores out; explanations only for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Column, Floats
from kaireon_core.learning.fallback import Fallbacks
from kaireon_core.table import Axis, lookup, split_name


class Fields(Protocol):
    """Where a model reads from: the columns of B customers and C candidates. `Table` is one."""

    @property
    def customers(self) -> int:
        """The number of customers, B."""
        ...

    @property
    def candidates(self) -> int:
        """The number of candidates, C."""
        ...

    def column(self, name: str) -> tuple[Column, Axis]:
        """Return the column of this name and its axis; a missing field is a column of nulls."""
        ...


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of every (customer, candidate): all arrays broadcast to (B, C).

    `raw` is the score before normalisation or calibration: points of a scorecard, log-odds of trees. `fallbacks` tells
    the scores that stand in for the model's own, None where there are none.
    """

    values: Floats
    raw: Floats
    fallbacks: Fallbacks | None = None


class Contribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one rule or feature added to the raw score; `actual` is the value that was found.

    `id`, `operator`, `value`, `matched`, `points` and `description` are those of a scorecard's rule.
    """

    field: str
    contribution: float
    actual: Any = None
    id: str | None = None
    operator: str | None = None
    value: Any = None
    matched: bool | None = None
    points: float | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one score is what it is: `base` plus the sum of the contributions is the raw score.

    `confidence` (0 to 1) is how sure a model says it is, None for one that does not.
    """

    base: float
    contributions: tuple[Contribution, ...]
    confidence: float | None = None


class CustomerFields(Protocol):
    """Where a bound model reads from: the values of B customers. `Table` is one."""

    @property
    def customers(self) -> int:
        """The number of customers, B."""
        ...

    def values(self, name: str) -> list[object]:
        """Return the values of a name that is about the customer, one each."""
        ...

    def rows(self, names: tuple[str, ...]) -> list[list[object]]:
        """Return the values of these names, all about the customer: one list per customer."""
        ...


class BoundModel(Protocol):
    """A model over candidates that do not change: what it makes of their columns is made once."""

    def score_rows(self, table: CustomerFields, rows: NDArray[np.int64]) -> Floats:
        """Return the scores of every customer of the table for the candidates at `rows`, broadcastable to (B, rows)."""
        ...


class Model(Protocol):
    """A compiled model: immutable, without state, the same answer for one row as for many."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names that it reads, so that only these are loaded."""
        ...

    def score(self, table: Fields) -> Scores:
        """Return the scores of every customer and candidate of the table."""
        ...

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return why the score at (customer, candidate) is what it is."""
        ...

    def bound(self, candidates: Fields) -> BoundModel | None:
        """Return the model over the candidates of this table, None when nothing is gained by it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringModel:
    """A model that may score now, with its type for explanations."""

    model_type: str
    model: Model


class RowTable:
    """Rows that are scored on their own, without a decision: each is a customer, and there is one candidate.

    Whatever a model reads, `offer.*` included, is looked up in the row: by its full name first, then bare.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Hold the rows; columns are made when they are asked for."""
        self._rows = rows
        self._columns: dict[str, Column] = {}

    @property
    def customers(self) -> int:
        """The number of rows."""
        return len(self._rows)

    @property
    def candidates(self) -> int:
        """One."""
        return 1

    def column(self, name: str) -> tuple[Column, Axis]:
        """Return the values of this name, one per row."""
        if name not in self._columns:
            self._columns[name] = Column.from_values([_value(row, name) for row in self._rows])
        return self._columns[name], Axis.CUSTOMER


_ABOUT_THE_CUSTOMER = frozenset({"customer", "attributes"})


def _value(row: Mapping[str, Any], name: str) -> object:
    found = lookup(row, name)
    namespace, field = split_name(name)
    return lookup(row, field) if found is None and namespace in _ABOUT_THE_CUSTOMER else found
