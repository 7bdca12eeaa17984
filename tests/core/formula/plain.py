"""Formulas value by value, in plain Python: what the operations on columns must agree with."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from kaireon_core.formula.syntax import Constant, Expression, Name


def evaluate(tree: Expression, values: dict[str, Any]) -> Any:
    """Return the value of a tree; lists and objects count as null."""
    if isinstance(tree, Constant):
        return tree.value
    if isinstance(tree, Name):
        found = values.get(tree.name)
        return None if isinstance(found, list | dict) else found
    return _apply(tree.operator, [evaluate(operand, values) for operand in tree.operands])


def _apply(operator: str, operands: list[Any]) -> Any:
    if operator == "+" and any(isinstance(one, str) for one in operands):
        operator = "concat"
    if operator in _OF_ANY:
        return _OF_ANY[operator](*operands)
    if not all(map(_is_number, operands)):
        return None
    try:
        found = _OF_NUMBERS[operator](*map(float, operands))
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    return "number" if _is_number(value) else type(value).__name__


def _same(left: Any, right: Any) -> bool:
    return _kind(left) == _kind(right) and left == right


def _differ(left: Any, right: Any) -> bool:
    return not _same(left, right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: _kind(left) == _kind(right) and _kind(left) in {"number", "str"} and compare(left, right)


def _choose(condition: Any, then: Any, otherwise: Any) -> Any:
    return (then if condition else otherwise) if isinstance(condition, bool) else None


def _concat(*values: Any) -> str | None:
    return None if None in values else "".join(map(text_of, values))


def text_of(value: Any) -> str:
    """Return a value as a formula writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


_OF_ANY: dict[str, Callable[..., Any]] = {
    "choose": _choose,
    "coalesce": lambda *values: next((one for one in values if one is not None), None),
    "concat": _concat,
    "==": _same,
    "!=": _differ,
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
}


def _least(*values: float) -> float:
    return min(values)


def _greatest(*values: float) -> float:
    return max(values)


def _round(value: float, digits: float = 0) -> float:
    scale = 10.0 ** math.trunc(digits)
    return math.floor(value * scale + 0.5) / scale


_OF_NUMBERS: dict[str, Callable[..., Any]] = {
    "negate": operator.neg,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "min": _least,
    "max": _greatest,
    "round": _round,
}
