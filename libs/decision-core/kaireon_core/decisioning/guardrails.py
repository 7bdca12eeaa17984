"""Guardrails: what must hold of all offers that a customer may be shown, after scoring and before ranking.

An expression is `{"all": [...]}`, `{"any": [...]}`, `{"not": ...}` or `{"metric", "op", "value"}` over the offers that
are left. A hard guardrail that does not hold drops them all, a soft one only warns. Of no offers nothing is asked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Document
from kaireon_core.column import Floats, Mask, any_in
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.rank import DECIMALS
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import Stage, State
from kaireon_core.problems import Problem

MAX_DEPTH = 8
_GROUPS = ("all", "any")
_FIELDS = {
    "Score": None,
    "Priority": "priority",
    "BusinessValue": "businessValue",
    "Margin": "margin",
    "RevenueValue": "revenueValue",
}

Columns: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferSet:
    """The offers that are left: `left` (B, O); `values` (B, O) by field, NaN where an offer has none."""

    left: Mask
    category: NDArray[np.int64]
    values: dict[str, Floats]


# From the offers to the metric of each customer, (B,); NaN is unknown and compares to nothing.
Metric: TypeAlias = Callable[[OfferSet], Floats]
Holds: TypeAlias = Callable[[OfferSet], Mask]


def _offer_count(offers: OfferSet) -> Floats:
    return offers.left.sum(axis=1).astype(np.float64)


def _category_count(offers: OfferSet) -> Floats:
    numbers = range(1, int(offers.category.max(initial=0)) + 1)
    found = [(offers.left & (offers.category == number)).any(axis=1) for number in numbers]
    return np.add.reduce([np.zeros(len(offers.left)), *found])


def _aggregate(name: str, field: str) -> Metric:
    def metric(offers: OfferSet) -> Floats:
        values = np.where(offers.left, offers.values[field], np.nan)
        known = ~np.isnan(values)
        count = known.sum(axis=1)
        # One after the other, so that the order of summing is that of the catalogue, however many customers there are.
        total = np.cumsum(np.where(known, values, 0.0), axis=1)[:, -1] if values.shape[1] else np.zeros(len(values))
        with np.errstate(invalid="ignore"):
            found = {
                "total": total,
                "average": total / np.where(count > 0, count, 1),
                "min": np.where(known, values, np.inf).min(axis=1, initial=np.inf),
                "max": np.where(known, values, -np.inf).max(axis=1, initial=-np.inf),
            }[name]
        return np.where(count > 0, found, np.nan)

    return metric


METRICS: dict[str, Metric] = {
    "offerCount": _offer_count,
    "categoryCount": _category_count,
    **{f"{name}{field}": _aggregate(name, field) for name in ("min", "max", "average", "total") for field in _FIELDS},
}
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def expression_problems(expression: Any, path: str, depth: int = 1) -> Iterator[Problem]:
    """Yield what keeps a value from being an expression, with JSON paths."""
    if not isinstance(expression, dict) or not expression:
        yield Problem(path=path, message="must be {all | any: [...]}, {not: ...} or {metric, op, value}")
        return
    node = cast("dict[str, Any]", expression)
    if depth > MAX_DEPTH:
        yield Problem(path=path, message=f"must not be nested more than {MAX_DEPTH} deep")
    elif len(node) == 1 and next(iter(node)) in _GROUPS:
        ((name, inner),) = node.items()
        yield from _group_problems(inner, f"{path}.{name}", depth)
    elif node.keys() == {"not"}:
        yield from expression_problems(node["not"], f"{path}.not", depth + 1)
    else:
        yield from _term_problems(node, path)


def _group_problems(inner: Any, path: str, depth: int) -> Iterator[Problem]:
    if not isinstance(inner, list) or not inner:
        yield Problem(path=path, message="must be a list of at least one expression")
        return
    for place, one in enumerate(cast("list[Any]", inner)):
        yield from expression_problems(one, f"{path}[{place}]", depth + 1)


def _term_problems(node: dict[str, Any], path: str) -> Iterator[Problem]:
    for name in sorted(node.keys() - {"metric", "op", "value"}):
        yield Problem(path=f"{path}.{name}", message="is not part of an expression")
    for name, known in (("metric", METRICS), ("op", _OPERATORS)):
        if node.get(name) not in known:
            yield Problem(path=f"{path}.{name}", message=f"must be one of: {', '.join(known)}")
    value = node.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield Problem(path=f"{path}.value", message="must be a number")


def compile_guardrails(candidates: Candidates, legend: LegendBuilder) -> Stage:
    """Return the stage: of several hard guardrails that do not hold the first is the reason."""
    guardrails = [_compile(one, legend) for one in active_guardrails(candidates)]
    offers = candidates.catalogue.offers
    constant = {
        field: np.array([_number(one, name) for one in offers], np.float64)[None, :]
        for field, name in _FIELDS.items()
        if name is not None
    }
    category = np.zeros(len(offers), np.int64)
    category[candidates.offer] = candidates.category
    # A candidate table lists each offer's candidates one after the other, and no offer is without.
    starts = np.flatnonzero(np.diff(candidates.offer, prepend=-1))

    def apply(state: State) -> None:
        if not state.alive.size:
            return
        assert state.score is not None  # noqa: S101 - the score stage has run
        score = np.where(state.alive, state.score, -np.inf)
        left = np.logical_or.reduceat(state.alive, starts, axis=1)
        # As in ranking: what differs by less has the same score.
        best = np.maximum.reduceat(score, starts, axis=1).round(DECIMALS)
        found = OfferSet(left=left, category=category, values={**constant, "Score": best})
        for guardrail in guardrails:
            guardrail.apply(state, found)

    return Stage(name="guardrails", apply=apply)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guardrail:
    document: Document
    holds: Holds
    # The reason of a hard one; a soft one has none.
    code: int | None

    def apply(self, state: State, offers: OfferSet) -> None:
        failing = offers.left.any(axis=1) & ~self.holds(offers)
        state.guardrails.append((self.document, failing))
        if self.code is not None and any_in(failing):
            state.drop(failing[:, None], self.code)


def active_guardrails(candidates: Candidates) -> list[Document]:
    """Return the guardrails that hold: priority descending, then key."""
    found = [one for one in candidates.catalogue.guardrails if one.status == "active"]
    return sorted(found, key=lambda one: (-float(one.body.get("priority", 50)), one.key))


def is_hard(guardrail: Document) -> bool:
    """Return whether a guardrail drops all offers where it does not hold."""
    return guardrail.body.get("severity") != "soft"


def _compile(document: Document, legend: LegendBuilder) -> _Guardrail:
    code = None
    if is_hard(document):
        message = f"the guardrail '{document.name}' does not hold"
        detail = {"expression": document.body["expressionAst"]}
        code = legend.add("guardrail", message, entity_id=document.id, entity_name=document.name, detail=detail)
    return _Guardrail(document=document, holds=_expression(document.body["expressionAst"]), code=code)


def _expression(node: dict[str, Any]) -> Holds:
    if "not" in node:
        inner = _expression(node["not"])
        return lambda offers: ~inner(offers)
    for name, join in (("all", np.logical_and), ("any", np.logical_or)):
        if name in node:
            parts = [_expression(one) for one in node[name]]
            return lambda offers, parts=parts, join=join: join.reduce([part(offers) for part in parts])
    metric, compare, value = METRICS[node["metric"]], _OPERATORS[node["op"]], float(node["value"])

    def holds(offers: OfferSet) -> Mask:
        found = metric(offers)
        return ~np.isnan(found) & compare(found, value)

    return holds


def _number(offer: Document, name: str) -> float:
    value: Any = offer.body.get(name)
    return np.nan if value is None else float(value)
