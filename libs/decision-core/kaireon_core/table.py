"""Names and where their columns are: what a condition, a rule or a model reads.

`bare` and `customer.X` are the customer's attributes with the request's laid over them, `attributes.X` the request's
only, `context.X` the request's context, `request.X` its other fields: one value per customer. `offer.X`, `channel.X`,
`creative.X` and `placement.X` have one value per candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Column, Mask, columns_from_rows

Attributes: TypeAlias = Mapping[str, Any]


class Axis(Enum):
    """Along which side of the (customers x candidates) matrix a column runs."""

    CUSTOMER = 0
    CANDIDATE = 1


CANDIDATE_NAMESPACES = frozenset({"offer", "channel", "creative", "placement"})
_CUSTOMER_NAMESPACES = frozenset({"customer", "attributes", "context", "request"})


def split_name(name: str) -> tuple[str, str]:
    """Return (namespace, field) of a name; a bare name is a customer attribute, dots and all."""
    namespace, dot, field = name.partition(".")
    if dot and (namespace in CANDIDATE_NAMESPACES or namespace in _CUSTOMER_NAMESPACES):
        return namespace, field
    return "customer", name


def is_bare(name: str) -> bool:
    """Return whether a name has no namespace."""
    return split_name(name) == ("customer", name)


def axis_of(name: str) -> Axis:
    """Return along which axis the column of this name runs."""
    return Axis.CANDIDATE if split_name(name)[0] in CANDIDATE_NAMESPACES else Axis.CUSTOMER


def is_of_offer(name: str) -> bool:
    """Return whether this is a field of the offer, the same for all its creatives."""
    return split_name(name)[0] == "offer"


class CustomerFacts(msgspec.Struct, frozen=True):
    """What is known about one customer now, by namespace (`customer` is already overlaid by the request)."""

    customer: Attributes
    attributes: Attributes
    context: Attributes
    request: Attributes


@dataclass(slots=True)
class Table:
    """The columns of B customers and C candidates; columns are made once, when first asked for."""

    facts: Sequence[CustomerFacts]
    candidate_columns: Mapping[str, Column]
    candidates: int
    _columns: dict[str, Column]

    @staticmethod
    def of(
        facts: Sequence[CustomerFacts],
        candidate_columns: Mapping[str, Column],
        candidates: int,
        names: Sequence[str] = (),
    ) -> Table:
        """Return the table with the customer columns of these names made at once (the fast way)."""
        columns = columns_from_rows([_values(facts, name) for name in names])
        return Table(facts, candidate_columns, candidates, dict(zip(names, columns, strict=True)))

    @property
    def customers(self) -> int:
        """The number of customers."""
        return len(self.facts)

    def column(self, name: str) -> tuple[Column, Axis]:
        """Return the column of this name and its axis; a missing field is a column of nulls."""
        if axis_of(name) is Axis.CANDIDATE:
            found = self.candidate_columns.get(name)
            return Column.nulls(self.candidates) if found is None else found, Axis.CANDIDATE
        if name not in self._columns:
            self._columns[name] = Column.from_values(_values(self.facts, name))
        return self._columns[name], Axis.CUSTOMER

    def values(self, name: str) -> list[object]:
        """Return the values of a name that is about the customer, one each."""
        return _values(self.facts, name)

    def rows(self, names: tuple[str, ...]) -> list[list[object]]:
        """Return the values of these names, all about the customer: one list per customer."""
        fields = _own_fields(names)
        if fields is not None:
            return [list(map(row.customer.get, fields)) for row in self.facts]
        columns = [_values(self.facts, name) for name in names]
        return [[column[place] for column in columns] for place in range(len(self.facts))]

    def without_creatives(self, rows: Mask) -> Table:
        """Return the table in which these candidates have neither creative, channel nor placement."""
        columns = {
            name: column if is_of_offer(name) else column.without(rows)
            for name, column in self.candidate_columns.items()
        }
        return Table(self.facts, columns, self.candidates, self._columns)

    def of_customers(self, places: NDArray[np.int64]) -> Table:
        """Return the table of the customers at these places only; their columns are made anew."""
        return Table([self.facts[int(place)] for place in places], self.candidate_columns, self.candidates, {})

    def select(self, candidates: NDArray[np.int64]) -> Table:
        """Return the table of these candidates only, sharing the customers' columns."""
        columns = {name: column.take(candidates) for name, column in self.candidate_columns.items()}
        return Table(self.facts, columns, len(candidates), self._columns)


def _values(facts: Sequence[CustomerFacts], name: str) -> list[object]:
    return _reader(name)(facts)


@cache
def _own_fields(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the fields of names that are all the customer's own, without inner dots; None of other names."""
    parts = [split_name(name) for name in names]
    is_plain = all(namespace == "customer" and "." not in field for namespace, field in parts)
    return tuple(field for _, field in parts) if is_plain else None


@cache
def _reader(name: str) -> Callable[[Sequence[CustomerFacts]], list[object]]:
    """Return what reads this name of customers; a name without inner dots is one look into one dict each."""
    namespace, field = split_name(name)
    attributes: Callable[[CustomerFacts], Attributes] = attrgetter(namespace)
    if "." in field:
        return lambda facts: [lookup(attributes(row), field) for row in facts]
    return lambda facts: [attributes(row).get(field) for row in facts]


def lookup(attributes: Attributes, field: str) -> object:
    """Return the value of a field; `a.b` is the literal key `a.b` when there is one, else `b` inside `a`."""
    if field in attributes:
        return attributes[field]
    head, dot, rest = field.partition(".")
    inner = attributes.get(head) if dot else None
    return lookup(cast("Attributes", inner), rest) if isinstance(inner, Mapping) else None
