"""Models that add up: a base, and for each field a number that its value alone decides.

Sums run over fields in a fixed order, the customer's first and the candidate's by themselves: a score has the same bits
whoever else is scored, which a matrix product over rows does not promise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats
from kaireon_core.learning.model import BoundModel, Contribution, CustomerFields, Explanation, Fields, Scores
from kaireon_core.learning.terms import LARGEST_INPUT, NumericTerm, Term
from kaireon_core.table import Axis, axis_of

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
    _customer_fields: tuple[str, ...]
    _customer_parts: tuple[tuple[float | None, float, Term], ...]
    _candidate_terms: tuple[tuple[str, Term], ...]

    @staticmethod
    def of(base: float, terms: Sequence[tuple[str, Term]], link: Link, confidence: float | None = None) -> Additive:
        """Return the model of these fields and their terms."""
        customer_terms = tuple((name, term) for name, term in terms if axis_of(name) is Axis.CUSTOMER)
        return Additive(
            fields=tuple(name for name, _ in terms),
            base=base,
            link=link,
            confidence=confidence,
            _customer_terms=customer_terms,
            _customer_fields=tuple(name for name, _ in customer_terms),
            _customer_parts=tuple(_part(term) for _, term in customer_terms),
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
        return [self._of_customer(row) for row in table.rows(self._customer_fields)]

    def _of_customer(self, row: Sequence[object]) -> float:
        """Return the base and what one customer adds: the same operations on the same numbers as those on columns."""
        total = self.base
        for value, (slope, mean, term) in zip(row, self._customer_parts, strict=True):
            # Most terms are of ordinary numbers, and a call costs more than the arithmetic.
            if slope is not None and type(value) in _NUMBER_TYPES:
                number: float = value  # pyright: ignore[reportAssignmentType] - a number
                if -LARGEST_INPUT <= number <= LARGEST_INPUT:
                    total += (number - mean) * slope
                    continue
            total += term.value(value)
        return total

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
        """Return the scores, broadcastable to (B, rows); equal to those of `Additive.score` to the last bit."""
        totals = self._model.of_customers(table)
        if self._candidates is None:
            return self._model.link(np.array(totals)[:, None])
        candidates = self._candidates.take(rows)
        raw = candidates + totals[0] if len(totals) == 1 else np.array(totals)[:, None] + candidates
        # A customer alone has one row, which broadcasts as it is.
        return self._model.link(raw)


def _part(term: Term) -> tuple[float | None, float, Term]:
    """Return slope and mean of a term of numbers, no slope for any other, and the term."""
    return (term.slope, term.mean, term) if isinstance(term, NumericTerm) else (None, 0.0, term)


_NUMBER_TYPES = frozenset({int, float})
