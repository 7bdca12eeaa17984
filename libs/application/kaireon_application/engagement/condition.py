"""Conditions of triggers and journeys: trees of comparisons over a document, compared as flows compare.

A leaf is `{field, operator, value}`; `{all: [...]}` and `{any: [...]}` nest; `{combinator, conditions}` is the form of
a filter node; `{}` always holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, TypeAlias, cast

from kaireon_core.column import Column, Operator, compile_test
from kaireon_core.problems import Problem

# Finds the value of a field.
Look: TypeAlias = Callable[[str], Any]
Holds: TypeAlias = Callable[[Look], bool]

_MAX_DEPTH = 8
_MAX_NODES = 100
# How older pages write operators.
_ALIASES = {
    "equals": "eq",
    "not_equals": "neq",
    "greater_than": "gt",
    "greater_than_or_equal": "gte",
    "less_than": "lt",
    "less_than_or_equal": "lte",
}
_LEAF = frozenset({"field", "operator", "op", "value"})
_OPERATORS = ", ".join(Operator)


def compile_holds(condition: Mapping[str, Any]) -> Holds:
    """Return whether a condition that has no problems holds."""
    branches, is_any = _branches(condition)
    if branches is not None:
        parts = [compile_holds(branch) for branch in branches]
        return (lambda look: any(part(look) for part in parts)) if is_any else lambda look: all(p(look) for p in parts)
    if not condition:
        return lambda _look: True
    field, test = str(condition["field"]), compile_test(_operator(condition), condition.get("value"))
    return lambda look: bool(test(Column.from_values([look(field)]))[0])


def condition_problems(condition: object, path: str) -> Iterator[Problem]:
    """Yield everything that is wrong with a condition, each with its JSON path."""
    count = 0
    for problem in _problems(condition, path, 1):
        yield problem
        count += 1
        if count == _MAX_NODES:
            return
    if not count and _size(condition) > _MAX_NODES:
        yield Problem(path=path, message=f"must have at most {_MAX_NODES} parts")


def fields_of(condition: Mapping[str, Any]) -> list[str]:
    """Return the fields that a condition without problems looks at."""
    branches, _ = _branches(condition)
    if branches is None:
        return [str(condition["field"])] if condition else []
    return [field for branch in branches for field in fields_of(branch)]


def look_in(document: Mapping[str, Any]) -> Look:
    """Return what finds a field in a document: by its name, below `properties`, or along the dots."""
    properties: Mapping[str, Any] = document.get("properties") or {}

    def look(field: str) -> Any:
        for holder in (document, properties):
            if field in holder:
                return holder[field]
        found = _along(document, field)
        return _along(properties, field) if found is None else found

    return look


def _along(document: Mapping[str, Any], field: str) -> Any:
    def step(holder: Any, name: str) -> Any:
        return cast("Mapping[str, Any]", holder).get(name) if isinstance(holder, Mapping) else None

    return reduce(step, field.split("."), cast("Any", document))


def _branches(condition: Mapping[str, Any]) -> tuple[Sequence[Mapping[str, Any]] | None, bool]:
    if "conditions" in condition:
        return condition["conditions"], condition.get("combinator") == "OR"
    if "any" in condition:
        return condition["any"], True
    return condition.get("all"), False


def _operator(condition: Mapping[str, Any]) -> Operator:
    given = str(condition.get("operator") or condition.get("op"))
    return Operator(_ALIASES.get(given, given))


def _problems(condition: object, path: str, depth: int) -> Iterable[Problem]:
    if not isinstance(condition, dict):
        return [Problem(path=path, message="must be an object")]
    tree = cast("dict[str, Any]", condition)
    if depth > _MAX_DEPTH:
        return [Problem(path=path, message=f"is nested deeper than {_MAX_DEPTH}")]
    for name in ("all", "any", "conditions"):
        if name in tree:
            return _branch_problems(tree, name, path, depth)
    return _leaf_problems(tree, path) if tree else []


def _branch_problems(tree: dict[str, Any], name: str, path: str, depth: int) -> Iterator[Problem]:
    allowed = {name, "combinator"} if name == "conditions" else {name}
    for other in sorted(set(tree) - allowed):
        yield Problem(path=f"{path}.{other}", message=f"does not go together with {name}")
    if tree.get("combinator", "AND") not in {"AND", "OR"}:
        yield Problem(path=f"{path}.combinator", message="must be AND or OR")
    if not isinstance(tree[name], list):
        yield Problem(path=f"{path}.{name}", message="must be a list of conditions")
        return
    for place, branch in enumerate(cast("list[object]", tree[name])):
        yield from _problems(branch, f"{path}.{name}[{place}]", depth + 1)


def _leaf_problems(leaf: dict[str, Any], path: str) -> Iterator[Problem]:
    for name in sorted(set(leaf) - _LEAF):
        yield Problem(path=f"{path}.{name}", message="is not a part of a condition: field, operator, value")
    if not isinstance(leaf.get("field"), str) or not leaf["field"]:
        yield Problem(path=f"{path}.field", message="must name a field")
    place = "op" if "op" in leaf and "operator" not in leaf else "operator"
    try:
        operator = _operator(leaf)
    except ValueError:
        yield Problem(path=f"{path}.{place}", message=f"must be one of {_OPERATORS}")
        return
    if isinstance(leaf.get("value"), dict):
        yield Problem(path=f"{path}.value", message="must not be an object")
        return
    try:
        compile_test(operator, leaf.get("value"))
    except ValueError as error:
        yield Problem(path=f"{path}.value", message=str(error))


def _size(condition: object) -> int:
    if isinstance(condition, dict):
        tree = cast("dict[str, Any]", condition)
        return 1 + sum(_size(branch) for name in ("all", "any", "conditions") for branch in tree.get(name) or ())
    return 1
