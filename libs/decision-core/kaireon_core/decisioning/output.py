"""The output nodes: what is said of each chosen offer, evaluated for all customers' answers at once.

`compute` evaluates the computed fields of the offer's category, then of its sub-category; `set_properties` sets
constants and formulas. A later property replaces an earlier one of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.column import Mask
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.flow import AnyNode, Compute, FormulaProperty, SetProperties
from kaireon_core.decisioning.formulas import FlowFormula, Rows
from kaireon_core.decisioning.state import State
from kaireon_core.formula.cells import Cells, concat
from kaireon_core.formula.syntax import FormulaError

# The properties of each customer's chosen offers, in rank order.
Properties: TypeAlias = list[list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Property:
    """One name and its value: a constant, or a formula's for the candidates of `applies` (C,); None is all."""

    name: str
    constant: Any = None
    formula: FlowFormula | None = None
    applies: Mask | None = None
    typed: Callable[[Cells], Cells] | None = None

    def values(self, state: State, customer: Rows, candidate: Rows) -> Sequence[Any]:
        if self.formula is None:
            return [self.constant] * len(candidate)
        cells = self.formula.of_rows(state, customer, candidate)
        values = (cells if self.typed is None else self.typed(cells)).values()
        return values * len(candidate) if len(values) == 1 else values


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The compiled output nodes of a flow; `reads` are the columns that they need."""

    properties: tuple[_Property, ...]
    reads: tuple[str, ...]

    def write(self, state: State, picks: Sequence[Rows]) -> Properties | None:
        """Return the properties of the chosen candidates, None for a flow that sets none."""
        if not self.properties:
            return None
        customer = np.repeat(np.arange(len(picks)), [len(mine) for mine in picks])
        candidate = np.concatenate(picks).astype(np.int64)
        written = [dict[str, Any]() for _ in range(len(candidate))]
        for one in self.properties:
            rows = np.arange(len(candidate)) if one.applies is None else np.flatnonzero(one.applies[candidate])
            if len(rows):
                found = one.values(state, customer[rows], candidate[rows])
                for row, value in zip(rows.tolist(), found, strict=True):
                    written[row][one.name] = value
        ends = np.cumsum([len(mine) for mine in picks]).tolist()
        return [written[end - len(mine) : end] for end, mine in zip(ends, picks, strict=True)]


def compile_output(nodes: Sequence[AnyNode], candidates: Candidates) -> Output:
    """Return what the output nodes set, in the order in which they run."""
    properties = [one for node in nodes for one in _properties(node, candidates)]
    reads = (name for one in properties if one.formula for name in one.formula.reads)
    return Output(properties=tuple(properties), reads=tuple(dict.fromkeys(reads)))


def _properties(node: AnyNode, candidates: Candidates) -> Iterator[_Property]:
    if isinstance(node, Compute):
        yield from _computed(node, candidates)
    elif isinstance(node, SetProperties):
        yield from _set(node)


def _set(node: SetProperties) -> Iterator[_Property]:
    for name, value in node.config.properties.items():
        if isinstance(value, FormulaProperty):
            yield _Property(name=name, formula=FlowFormula.of(value.formula))
        else:
            yield _Property(name=name, constant=value)


def _computed(node: Compute, candidates: Candidates) -> Iterator[_Property]:
    catalogue, wanted = candidates.catalogue, frozenset(node.config.fields)
    for level, documents in _levels(catalogue):
        belongs = np.array([offer.body.get(level) for offer in catalogue.offers] + [None], np.object_)
        for document in documents:
            applies = (belongs == document.id)[candidates.offer]
            for field in document.body.get("customFields") or ():
                if field.get("type") == "computed" and (not wanted or field["key"] in wanted):
                    yield from _field(field, applies)


def _levels(catalogue: Catalogue) -> tuple[tuple[str, tuple[Document, ...]], ...]:
    return ("categoryId", catalogue.categories), ("subCategoryId", catalogue.sub_categories)


def _field(field: dict[str, Any], applies: Mask) -> Iterator[_Property]:
    try:
        formula = FlowFormula.of(field.get("formula") or "")
    except FormulaError:
        # Written before formulas were checked: what cannot be computed is null.
        yield _Property(name=field["key"], applies=applies)
        return
    yield _Property(name=field["key"], formula=formula, applies=applies, typed=_TYPED.get(field.get("outputType")))


def _as_numbers(cells: Cells) -> Cells:
    return Cells.of_numbers(cells.as_numbers())


# By a computed field's type of result: everything can be written as text, only a number is a number.
_TYPED: dict[str | None, Callable[[Cells], Cells]] = {"number": _as_numbers, "text": concat}
