"""Evaluating formulas on columns: every operator is an operation on all rows at once.

null spreads: what is computed from null is null, and so is what cannot be computed (a division by zero, a sum of a
number and a condition, a result that is not finite). Comparisons are those of `kaireon_core.column`: never null, false
on null or on mixed types, and null equals only null. Nothing is coerced, but `+` and `concat` write numbers and
conditions as text beside a text. A choice whose condition is not a condition is null. Lists and objects count as null.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Column, Floats, Kind, Mask, Objects
from kaireon_core.formula.syntax import CHOOSE, NEGATE, Constant, Expression, Name, parse

_NULL, _BOOLEAN, _NUMBER, _TEXT = (np.int8(kind) for kind in (Kind.NULL, Kind.BOOLEAN, Kind.NUMBER, Kind.TEXT))


@dataclass(frozen=True, slots=True)
class Cells:
    """Values of any shape: `kinds` int8; `numbers` float64, of numbers and conditions; `texts`, None without any."""

    kinds: NDArray[np.int8]
    numbers: Floats
    texts: Objects | None = None

    @staticmethod
    def of(value: float | str | bool | None) -> Cells:  # noqa: FBT001 - a value of a formula
        """Return one value, in a shape that goes with every other."""
        texts = np.array([value], np.object_) if isinstance(value, str) else None
        number = np.nan if value is None or isinstance(value, str) else float(value)
        return Cells(np.array([_KINDS[type(value)]], np.int8), np.array([number]), texts)

    @staticmethod
    def of_column(column: Column) -> Cells:
        """Return the values of a column."""
        known = column.kinds <= _TEXT
        has_text = bool(np.count_nonzero(column.kinds == _TEXT))
        return Cells(np.where(known, column.kinds, _NULL), column.numbers, column.objects if has_text else None)

    @staticmethod
    def of_numbers(numbers: Floats) -> Cells:
        """Return numbers, null where they are not finite."""
        is_finite = np.isfinite(numbers)
        return Cells(np.where(is_finite, _NUMBER, _NULL), np.where(is_finite, numbers, np.nan))

    def reshape(self, *shape: int) -> Cells:
        """Return the same values in another shape."""
        texts = None if self.texts is None else self.texts.reshape(shape)
        return Cells(self.kinds.reshape(shape), self.numbers.reshape(shape), texts)

    def is_true(self) -> Mask:
        """Where the value is the condition that holds."""
        return (self.kinds == _BOOLEAN) & (self.numbers == 1)

    def as_numbers(self) -> Floats:
        """Return the numbers, NaN for everything else."""
        return np.where(self.kinds == _NUMBER, self.numbers, np.nan)

    def values(self) -> list[float | str | bool | None]:
        """Return the values of one dimension as JSON has them; whole numbers are written without a fraction."""
        texts = [None] * len(self.kinds) if self.texts is None else self.texts.tolist()
        return [
            _VALUES[kind](number, text)
            for kind, number, text in zip(self.kinds.tolist(), self.numbers.tolist(), texts, strict=True)
        ]


_KINDS: dict[type, Kind] = {type(None): Kind.NULL, bool: Kind.BOOLEAN, float: Kind.NUMBER, str: Kind.TEXT}
_VALUES: dict[int, Callable[[float, Any], float | str | bool | None]] = {
    Kind.NULL: lambda _number, _text: None,
    Kind.BOOLEAN: lambda number, _text: number == 1,
    Kind.NUMBER: lambda number, _text: int(number) if number.is_integer() and abs(number) < 2**53 else number,
    Kind.TEXT: lambda _number, text: text,
}

# Finds the values of a name; the shapes of what it returns must go together.
Read: TypeAlias = Callable[[str], Cells]


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula; `names` are what it reads, in the order of their first use."""

    text: str
    tree: Expression
    names: tuple[str, ...]

    @staticmethod
    def of(text: str) -> Formula:
        """Return the formula that a text says. Raises `FormulaError`."""
        tree = parse(text)
        return Formula(text, tree, tuple(dict.fromkeys(_names(tree))))

    def evaluate(self, read: Read) -> Cells:
        """Return the formula's value for every row of what `read` returns."""
        found = {name: read(name) for name in self.names}
        with np.errstate(all="ignore"):  # what is not finite becomes null
            return _evaluate(self.tree, found)


def _names(tree: Expression) -> Iterator[str]:
    if isinstance(tree, Name):
        yield tree.name
    elif not isinstance(tree, Constant):
        for operand in tree.operands:
            yield from _names(operand)


def _evaluate(tree: Expression, found: dict[str, Cells]) -> Cells:
    if isinstance(tree, Constant):
        return Cells.of(tree.value)
    if isinstance(tree, Name):
        return found[tree.name]
    return _OPERATIONS[tree.operator](*(_evaluate(operand, found) for operand in tree.operands))


def _arithmetic(compute: Callable[[Floats, Floats], Floats]) -> Callable[[Cells, Cells], Cells]:
    def apply(left: Cells, right: Cells) -> Cells:
        return _where_numbers(compute(left.numbers, right.numbers), left, right)

    return apply


def _where_numbers(numbers: Floats, *operands: Cells) -> Cells:
    """Return these numbers, null where one of the operands is no number."""
    are_numbers = reduce(np.logical_and, (cells.kinds == _NUMBER for cells in operands))
    return Cells.of_numbers(np.where(are_numbers, numbers, np.nan))


def _add(left: Cells, right: Cells) -> Cells:
    sums = _where_numbers(left.numbers + right.numbers, left, right)
    if left.texts is None and right.texts is None:
        return sums
    has_text = (left.kinds == _TEXT) | (right.kinds == _TEXT)
    return _either(has_text, concat(left, right), sums)


def _divide(compute: Callable[[Floats, Floats], Floats]) -> Callable[[Cells, Cells], Cells]:
    def apply(left: Cells, right: Cells) -> Cells:
        return _where_numbers(np.where(right.numbers == 0, np.nan, compute(left.numbers, right.numbers)), left, right)

    return apply


def _round(number: Cells, digits: Cells | None = None) -> Cells:
    """Round half up to so many digits (0): what a reader expects of 2.5, not what halves a bias."""
    places = Cells.of(0.0) if digits is None else digits
    scale = np.power(10.0, np.trunc(places.numbers))
    return _where_numbers(np.floor(number.numbers * scale + 0.5) / scale, number, places)


def _extreme(compute: Callable[[Floats, Floats], Floats]) -> Callable[..., Cells]:
    def apply(*cells: Cells) -> Cells:
        return _where_numbers(reduce(compute, [one.numbers for one in cells]), *cells)

    return apply


def _negate(cells: Cells) -> Cells:
    return _where_numbers(-cells.numbers, cells)


def coalesce(*cells: Cells) -> Cells:
    """Return the first of the values that is not null."""

    def first(found: Cells, otherwise: Cells) -> Cells:
        return _either(found.kinds != _NULL, found, otherwise)

    return reduce(first, cells)


def _choose(condition: Cells, then: Cells, otherwise: Cells) -> Cells:
    chosen = _either(condition.numbers == 1, then, otherwise)
    return _either(condition.kinds == _BOOLEAN, chosen, _NOTHING)


def _either(mask: Mask, then: Cells, otherwise: Cells) -> Cells:
    texts = None
    if then.texts is not None or otherwise.texts is not None:
        texts = np.where(mask, _texts_of(then), _texts_of(otherwise))
    return Cells(np.where(mask, then.kinds, otherwise.kinds), np.where(mask, then.numbers, otherwise.numbers), texts)


def _texts_of(cells: Cells) -> Objects:
    return np.full(cells.kinds.shape, None, np.object_) if cells.texts is None else cells.texts


def concat(*cells: Cells) -> Cells:
    """Return the values as texts, one behind the other."""
    written = [_written(one) for one in cells]
    is_null = reduce(np.logical_or, (one.kinds == _NULL for one in cells))
    texts = np.where(is_null, _NO_TEXT, reduce(np.add, written))
    return Cells(np.where(is_null, _NULL, _TEXT), np.full(texts.shape, np.nan), texts)


def _written(cells: Cells) -> Objects:
    """Return every value as text, null as an empty one."""
    return _write(cells.kinds, cells.numbers, _texts_of(cells))


def _write_one(kind: int, number: float, text: str | None) -> str:
    if kind == _TEXT:
        return str(text)
    if kind == _NULL:
        return ""
    if kind == _BOOLEAN:
        return "true" if number == 1 else "false"
    return str(_VALUES[Kind.NUMBER](number, None))


def _on_objects(function: Callable[..., object], operands: int) -> Callable[..., Objects]:
    """Return the function as an operation on every cell."""
    return cast("Callable[..., Objects]", np.frompyfunc(function, operands, 1))


_NO_TEXT = np.array(None, np.object_)
_write = _on_objects(_write_one, 3)


def _equal(left: Cells, right: Cells) -> Cells:
    is_same = (left.kinds == _NULL) | (left.numbers == right.numbers)
    if left.texts is not None or right.texts is not None:
        are_equal_texts = np.equal(_texts_of(left), _texts_of(right)).astype(np.bool_)
        is_same = np.where(left.kinds == _TEXT, are_equal_texts, is_same)
    return _condition((left.kinds == right.kinds) & is_same)


def _unequal(left: Cells, right: Cells) -> Cells:
    return _condition(_equal(left, right).numbers == 0)


def _ordered(
    numbers: Callable[[Floats, Floats], Mask], texts: Callable[[str, str], bool]
) -> Callable[[Cells, Cells], Cells]:
    compare_texts = _on_objects(texts, 2)

    def apply(left: Cells, right: Cells) -> Cells:
        holds = (left.kinds == _NUMBER) & (right.kinds == _NUMBER) & numbers(left.numbers, right.numbers)
        if left.texts is not None and right.texts is not None:
            are_texts = (left.kinds == _TEXT) & (right.kinds == _TEXT)
            lefts, rights = (np.where(are_texts, side, "") for side in (left.texts, right.texts))
            holds |= are_texts & compare_texts(lefts, rights).astype(np.bool_)
        return _condition(holds)

    return apply


def _condition(holds: Mask) -> Cells:
    return Cells(np.full(holds.shape, _BOOLEAN), holds.astype(np.float64))


_NOTHING = Cells.of(None)
_OPERATIONS: dict[str, Callable[..., Cells]] = {
    "+": _add,
    "-": _arithmetic(np.subtract),
    "*": _arithmetic(np.multiply),
    "/": _divide(np.divide),
    # The remainder has the sign of what is divided.
    "%": _divide(np.fmod),
    NEGATE: _negate,
    "==": _equal,
    "!=": _unequal,
    "<": _ordered(np.less, operator.lt),
    "<=": _ordered(np.less_equal, operator.le),
    ">": _ordered(np.greater, operator.gt),
    ">=": _ordered(np.greater_equal, operator.ge),
    CHOOSE: _choose,
    "min": _extreme(np.minimum),
    "max": _extreme(np.maximum),
    "round": _round,
    "coalesce": coalesce,
    "concat": concat,
}
