"""What an expression of PromQL names: parsed, not searched for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser

from kaireon_runtime.catalogue import CATALOGUE
from kaireon_runtime.metric import Kind

_PARTS = ("bucket", "sum", "count")
SERIES: dict[str, set[str]] = {
    name: {*metric.labels, *(["le"] if name.endswith("_bucket") else [])}
    for metric in CATALOGUE
    for name in ([f"{metric.name}_{part}" for part in _PARTS] if metric.kind is Kind.HISTOGRAM else [metric.name])
}


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    children: list[Any] = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    arguments: list[Any] = getattr(node, "args", None) or []
    for child in [*children, *arguments]:
        if isinstance(child, promql_parser.Expr):
            yield from _nodes(child)


def _selectors(expression: str) -> Iterator[Any]:
    for node in _nodes(promql_parser.parse(expression)):
        if isinstance(node, promql_parser.VectorSelector):
            yield node


def series_of(expression: str) -> set[str]:
    """Return the names of the series that an expression reads. Raises `ValueError` for what is no PromQL."""
    return {selector.name for selector in _selectors(expression)}


def unknown_in(expression: str, recorded: set[str]) -> set[str]:
    """Return the series and labels that an expression names and nobody has."""
    names = series_of(expression)
    unknown = names - SERIES.keys() - recorded
    known = {"slo"}.union(*(SERIES.get(name, set[str]()) for name in names))
    for selector in _selectors(expression):
        own = {"slo"} if selector.name in recorded else SERIES.get(selector.name, known)
        unknown |= {matcher.name for matcher in selector.matchers.matchers} - own
    for node in _nodes(promql_parser.parse(expression)):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql_parser.AggregateExpr) and modifier is not None:
            unknown |= set(modifier.labels) - known
    return unknown
