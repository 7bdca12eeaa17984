"""Typed columns and the one comparison that every filter, rule, policy and scorecard uses.

The semantics are fixed: null equals only null; `neq` and `not_in` are the negations of `eq` and `in`; every other
operator is false on null or on mixed types; nothing is coerced and a boolean is not a number; strings compare by code
point; `in` and `contains` on a list test its members; `regex` is an unanchored search in linear time (RE2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import re2
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Objects: TypeAlias = NDArray[np.object_]
Test: TypeAlias = Callable[["Column"], Mask]
Matrix = TypeVar("Matrix", Mask, Floats)


class Kind(IntEnum):
    """What a value is; two values of different kinds are never equal and never ordered."""

    NULL = 0
    BOOLEAN = 1
    NUMBER = 2
    TEXT = 3
    LIST = 4
    OBJECT = 5


class Operator(StrEnum):
    """The thirteen operators of filters, and the two names that rules use for is_not_null and is_null."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    REGEX = "regex"
    IS_NULL = "is_null"
    IS_NOT_NULL = "is_not_null"
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"


_KINDS: dict[type, Kind] = {
    type(None): Kind.NULL,
    bool: Kind.BOOLEAN,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.TEXT,
    list: Kind.LIST,
    tuple: Kind.LIST,
    dict: Kind.OBJECT,
}

# As plain numbers: an enumeration's member costs more to look up than an array operation.
_NULL, _NUMBER = int(Kind.NULL), int(Kind.NUMBER)


def any_in(mask: Mask) -> bool:
    """Return whether a mask holds anywhere; on a few hundred candidates `mask.any()` takes five times as long."""
    return bool(np.count_nonzero(mask))


def row_of(matrix: Matrix, customer: int) -> Matrix:
    """Return one customer's row of a (B, C) matrix, or of the (1, C) that all customers share."""
    return matrix[customer if len(matrix) > 1 else 0]


def kind_of(value: object) -> Kind:
    """Return the kind of one value. Raises KeyError for a type that JSON does not have."""
    return _KINDS[type(value)]


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one field for n rows.

    `kinds` int8 (n,); `numbers` float64 (n,), NaN unless number or boolean; `objects` (n,), the values themselves.
    """

    kinds: NDArray[np.int8]
    numbers: Floats
    objects: Objects

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.kinds)

    @property
    def is_null(self) -> Mask:
        """Where there is no value."""
        return self.kinds == _NULL

    @property
    def is_present(self) -> Mask:
        """Where there is a value."""
        return self.kinds != _NULL

    @property
    def is_number(self) -> Mask:
        """Where there is a number; a boolean is none."""
        return self.kinds == _NUMBER

    @staticmethod
    def from_values(values: Sequence[object]) -> Column:
        """Return the column of these values."""
        return columns_from_rows([values])[0]

    @staticmethod
    def nulls(count: int) -> Column:
        """Return a column without any value."""
        return Column(np.zeros(count, np.int8), np.full(count, np.nan), np.full(count, None, np.object_))

    def take(self, rows: NDArray[np.int64]) -> Column:
        """Return the column at these rows."""
        return Column(self.kinds[rows], self.numbers[rows], self.objects[rows])

    def without(self, rows: Mask) -> Column:
        """Return the column with nulls at these rows."""
        kinds, numbers, objects = self.kinds.copy(), self.numbers.copy(), self.objects.copy()
        kinds[rows], numbers[rows], objects[rows] = _NULL, np.nan, None
        return Column(kinds, numbers, objects)


def columns_from_rows(fields: Sequence[Sequence[object]]) -> list[Column]:
    """Return one column per field, for f fields of n values each, allocating three arrays in all."""
    if not fields:
        return []
    shape = (len(fields), len(fields[0]))
    flat = [value for values in fields for value in values]
    kinds = np.array([_KINDS[type(value)] for value in flat], np.int8).reshape(shape)
    numbers = np.array([value if type(value) in _NUMERIC else np.nan for value in flat], np.float64).reshape(shape)
    objects = np.fromiter(flat, np.object_, len(flat)).reshape(shape)
    return [Column(*parts) for parts in zip(kinds, numbers, objects, strict=True)]


_NUMERIC = frozenset({int, float, bool})


def compile_test(operator: Operator, operand: object) -> Test:
    """Return the test `column <operator> operand` as an operation on columns.

    Raises `ValueError` with what to change when the operand does not fit the operator.
    """
    return _TESTS[operator](operand)


def compare(column: Column, operator: Operator, operand: object) -> Mask:
    """Return where `column <operator> operand` holds, shape (n,)."""
    return compile_test(operator, operand)(column)


def _same(left: object, right: object) -> bool:
    """Whether two JSON values are equal; numbers by value, never across kinds."""
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    if kind == Kind.LIST:
        lefts, rights = cast("Sequence[object]", left), cast("Sequence[object]", right)
        return len(lefts) == len(rights) and all(map(_same, lefts, rights))
    if kind == Kind.OBJECT:
        lefts, rights = cast("dict[str, object]", left), cast("dict[str, object]", right)
        return lefts.keys() == rights.keys() and all(_same(value, rights[key]) for key, value in lefts.items())
    return left == right


def _each(kind: Kind, holds: Callable[[Any], bool]) -> Test:
    """Return a test that asks `holds` of every value of one kind; false elsewhere."""
    code = int(kind)

    def test(column: Column) -> Mask:
        mask = column.kinds == code
        if any_in(mask):
            mask[mask] = [holds(value) for value in column.objects[mask].tolist()]
        return mask

    return test


def _equal(operand: object) -> Test:
    kind = kind_of(operand)
    if kind == Kind.NULL:
        return lambda column: column.kinds == _NULL
    if kind in (Kind.NUMBER, Kind.BOOLEAN):
        number, code = float(cast("float", operand)), int(kind)
        return lambda column: (column.kinds == code) & (column.numbers == number)
    if kind == Kind.TEXT:
        return _each(kind, lambda value: value == operand)
    return _each(kind, lambda value: _same(value, operand))


def _negated(build: Callable[[object], Test]) -> Callable[[object], Test]:
    def build_negation(operand: object) -> Test:
        test = build(operand)
        return lambda column: ~test(column)

    return build_negation


def _ordered(numbers: Callable[[Floats, float], Mask], texts: Callable[[str, str], bool]) -> Callable[[object], Test]:
    def build(operand: object) -> Test:
        kind = kind_of(operand)
        if kind == Kind.NUMBER:
            limit = float(cast("float", operand))
            return lambda column: (column.kinds == _NUMBER) & numbers(column.numbers, limit)
        if kind == Kind.TEXT:
            return _each(Kind.TEXT, lambda value: texts(value, cast("str", operand)))
        return _never

    return build


def _never(column: Column) -> Mask:
    return np.zeros(len(column), np.bool_)


def _member(operand: object) -> Test:
    if kind_of(operand) != Kind.LIST:
        message = "must be a list"
        raise ValueError(message)
    members = cast("Sequence[object]", operand)
    # A text is looked up in all of them at once.
    texts = frozenset(member for member in members if isinstance(member, str))
    tests = [_equal(member) for member in members if not isinstance(member, str)]
    if texts:
        tests.append(_each(Kind.TEXT, lambda value: value in texts))

    def any_member(value: Iterable[object]) -> bool:
        return any(_same(item, member) for item in value for member in members)

    in_list = _each(Kind.LIST, any_member)

    def test(column: Column) -> Mask:
        mask = in_list(column)
        for equal in tests:
            mask |= equal(column)
        return mask

    return test


def _contains(operand: object) -> Test:
    if kind_of(operand) != Kind.TEXT:
        return _each(Kind.LIST, lambda value: any(_same(item, operand) for item in value))
    # A text equals nothing but a text.
    in_list = _each(Kind.LIST, lambda value: operand in value)
    in_text = _each(Kind.TEXT, lambda value: cast("str", operand) in value)
    return lambda column: in_list(column) | in_text(column)


def _starts_with(operand: object) -> Test:
    if kind_of(operand) != Kind.TEXT:
        return _never
    return _each(Kind.TEXT, lambda value: value.startswith(operand))


def _regex(operand: object) -> Test:
    if not isinstance(operand, str):
        message = "must be a regular expression"
        raise ValueError(message)  # noqa: TRY004 - a ValueError is what every bad operand raises
    try:
        pattern = re2.compile(operand, _quiet())
    except re2.error as error:  # pyright: ignore[reportUnknownVariableType] - re2 has no types
        told = cast("object", error.args[0])
        reason = told.decode(errors="replace") if isinstance(told, bytes) else told
        message = f"is not a regular expression that RE2 accepts: {reason}"
        raise ValueError(message) from error
    return _each(Kind.TEXT, lambda value: pattern.search(value) is not None)


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


def _is_null(_operand: object) -> Test:
    return lambda column: column.kinds == _NULL


_TESTS: dict[Operator, Callable[[object], Test]] = {
    Operator.EQ: _equal,
    Operator.NEQ: _negated(_equal),
    Operator.GT: _ordered(np.greater, lambda value, limit: value > limit),
    Operator.GTE: _ordered(np.greater_equal, lambda value, limit: value >= limit),
    Operator.LT: _ordered(np.less, lambda value, limit: value < limit),
    Operator.LTE: _ordered(np.less_equal, lambda value, limit: value <= limit),
    Operator.IN: _member,
    Operator.NOT_IN: _negated(_member),
    Operator.CONTAINS: _contains,
    Operator.STARTS_WITH: _starts_with,
    Operator.REGEX: _regex,
    Operator.IS_NULL: _is_null,
    Operator.IS_NOT_NULL: _negated(_is_null),
    Operator.EXISTS: _negated(_is_null),
    Operator.NOT_EXISTS: _is_null,
}
