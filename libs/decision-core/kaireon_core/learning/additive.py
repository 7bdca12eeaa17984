"""Models that add up: a base, and for each field a number that its value alone decides.

Sums run over fields in a fixed order, the customer's first and the candidate's by themselves: a score has the same bits
whoever else is scored, which a matrix product over rows does not promise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Column, Floats
from kaireon_core.learning.model import BoundModel, Contribution, CustomerFields, Explanation, Fields, Scores
from kaireon_core.table import Axis, axis_of

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


Link = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Additive:
    """A compiled model: raw = `base` + the sum of the fields' terms, the score is its `link` of raw.

    `confidence` (0 to 1) is what the model says of itself, where it does.
    """

    fields: tuple[str, ...]
    base: float
    link: Link
    confidence: float | None
    _customer_terms: tuple[tuple[str, Term], ...]
    _candidate_terms: tuple[tuple[str, Term], ...]

    @staticmethod
    def of(base: float, terms: Sequence[tuple[str, Term]], link: Link, confidence: float | None = None) -> Additive:
        """Return the model of these fields and their terms."""
        return Additive(
            fields=tuple(name for name, _ in terms),
            base=base,
            link=link,
            confidence=confidence,
            _customer_terms=tuple((name, term) for name, term in terms if axis_of(name) is Axis.CUSTOMER),
            _candidate_terms=tuple((name, term) for name, term in terms if axis_of(name) is Axis.CANDIDATE),
        )

    def score(self, table: Fields) -> Scores:
        """Return the scores, shape (B, 1) where nothing depends on the candidate, else (B, C)."""
        raw = np.full(table.customers, self.base)
        for name, term in self._customer_terms:
            raw += term.column(table.column(name)[0])
        if not self._candidate_terms:
            return Scores(self.link(raw[:, None]), raw[:, None])
        by_candidate, axis = self._of_candidates(table)
        matrix = raw[:, None] + (by_candidate[None, :] if axis is Axis.CANDIDATE else by_candidate[:, None])
        return Scores(self.link(matrix), matrix)

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return one contribution per field, the strongest first."""
        explained = list[Contribution]()
        for name, term in (*self._customer_terms, *self._candidate_terms):
            column, axis = table.column(name)
            actual: object = column.objects[customer if axis is Axis.CUSTOMER else candidate]
            explained.append(Contribution(field=name, actual=actual, contribution=term.value(actual)))
        ordered = sorted(explained, key=lambda item: (-abs(item.contribution), item.field))
        return Explanation(self.base, tuple(ordered), self.confidence)

    def bound(self, candidates: Fields) -> BoundModel:
        """Return the model with what the candidates add summed up."""
        parts = self._of_candidates(candidates)[0] if self._candidate_terms else None
        return BoundAdditive(_model=self, _candidates=parts)

    def of_customers(self, table: CustomerFields) -> list[float]:
        """Return the base and what each customer adds to it, in the order of `score`."""
        sums = [self.base] * table.customers
        for name, term in self._customer_terms:
            value = term.value
            sums = [sum_ + value(one) for sum_, one in zip(sums, table.values(name), strict=True)]
        return sums

    def _of_candidates(self, table: Fields) -> tuple[Floats, Axis]:
        """Return what the candidates' fields add, and along which axis the table has them."""
        columns = [(term, *table.column(name)) for name, term in self._candidate_terms]
        axis = columns[0][2]
        total = np.zeros(table.candidates if axis is Axis.CANDIDATE else table.customers)
        for term, column, _ in columns:
            total += term.column(column)
        return total, axis


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundAdditive:
    """An additive model over fixed candidates: `_candidates` (C,) is what they add, None where nothing of them does."""

    _model: Additive
    _candidates: Floats | None

    def score_rows(self, table: CustomerFields, rows: NDArray[np.int64]) -> Floats:
        """Return the scores, shape (B, rows) or (B, 1); equal to those of `Additive.score` to the last bit."""
        customers = np.array(self._model.of_customers(table))[:, None]
        if self._candidates is None:
            return self._model.link(customers)
        return self._model.link(customers + self._candidates[rows])


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
