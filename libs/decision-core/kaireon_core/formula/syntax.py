"""The grammar of formulas: from a text to a tree, or to one error with its position.

    choice     = comparison [ "?" choice ":" choice ]
    comparison = sum [ ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum ]
    sum        = product { ( "+" | "-" ) product }
    product    = sign { ( "*" | "/" | "%" ) sign }
    sign       = "-" sign | value
    value      = number | text | name | "true" | "false" | "null" | "(" choice ")"
               | function "(" choice { "," choice } ")"

A text stands in single or double quotes, where a backslash takes the next character as it is. A name has letters,
digits, `_` and dots: `price`, `customer.tier`, `offer.margin`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias, Union

MAX_LENGTH = 4_000
MAX_DEPTH = 64
MAX_OPERATIONS = 200

# How many arguments each function takes: at least, and at most (None: any number).
FUNCTIONS: dict[str, tuple[int, int | None]] = {
    "min": (1, None),
    "max": (1, None),
    "round": (1, 2),
    "coalesce": (1, None),
    "concat": (1, None),
}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_PUNCTUATION = (":", "(", ")", ",")
_COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>[A-Za-z_]\w*(?:\.\w+)*)
      | (?P<sign><=|>=|==|!=|[-+*/%<>?:(),])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class FormulaError(ValueError):
    """A text is not a formula; `position` counts its characters from 1."""

    def __init__(self, message: str, position: int) -> None:
        """Say what was expected, and where."""
        self.position = position
        super().__init__(f"{message} (at position {position})")


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written out."""

    value: float | str | bool | None


@dataclass(frozen=True, slots=True)
class Name:
    """A value that the decision has."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator or function and what it is applied to."""

    operator: str
    operands: tuple[Expression, ...]


# The operators of trees that stand for what has no sign of its own in the text.
NEGATE, CHOOSE = "negate", "choose"
Expression: TypeAlias = Union[Constant, Name, Operation]  # noqa: UP007 - refers to itself


def parse(text: str) -> Expression:
    """Return the tree of a formula. Raises `FormulaError`."""
    if len(text) > MAX_LENGTH:
        message = f"a formula has at most {MAX_LENGTH} characters"
        raise FormulaError(message, MAX_LENGTH + 1)
    tokens = _tokens(text)
    operations = [token for token in tokens if token.kind == "sign" and token.text not in _PUNCTUATION]
    if len(operations) > MAX_OPERATIONS:
        message = f"a formula has at most {MAX_OPERATIONS} operators"
        raise FormulaError(message, operations[MAX_OPERATIONS].position)
    return _Parser(tokens).formula()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    tokens = list[_Token]()
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            message = "this text does not end" if text[at] in "'\"" else f"unexpected {text[at]!r}"
            raise FormulaError(message, at + 1)
        tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup) + 1))
        at = found.end()
    return [*tokens, _Token("end", "", end + 1)]


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def formula(self) -> Expression:
        found = self._choice()
        token = self._next
        if token.text in _COMPARISONS:
            message = "comparisons cannot be chained"
            raise FormulaError(message, token.position)
        if token.kind != "end":
            raise self._unexpected("an operator")
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _unexpected(self, wanted: str) -> FormulaError:
        token = self._next
        found = "the end" if token.kind == "end" else repr(token.text)
        return FormulaError(f"expected {wanted}, found {found}", token.position)

    def _take(self, *signs: str) -> str | None:
        """Return the next token's text and go on if it is one of these signs."""
        token = self._next
        if token.kind == "sign" and token.text in signs:
            self._at += 1
            return token.text
        return None

    def _expect(self, sign: str) -> None:
        if self._take(sign) is None:
            raise self._unexpected(repr(sign))

    def _choice(self) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"a formula is nested at most {MAX_DEPTH} deep"
            raise FormulaError(message, self._next.position)
        found = self._comparison()
        if self._take("?"):
            then = self._choice()
            self._expect(":")
            found = Operation(CHOOSE, (found, then, self._choice()))
        self._depth -= 1
        return found

    def _comparison(self) -> Expression:
        left = self._sum()
        operator = self._take(*_COMPARISONS)
        return left if operator is None else Operation(operator, (left, self._sum()))

    def _sum(self) -> Expression:
        left = self._product()
        while operator := self._take("+", "-"):
            left = Operation(operator, (left, self._product()))
        return left

    def _product(self) -> Expression:
        left = self._sign()
        while operator := self._take("*", "/", "%"):
            left = Operation(operator, (left, self._sign()))
        return left

    def _sign(self) -> Expression:
        count = 0
        while self._take("-"):
            count += 1
        found = self._value()
        return Operation(NEGATE, (found,)) if count % 2 else found

    def _value(self) -> Expression:
        token = self._next
        if self._take("("):
            found = self._choice()
            self._expect(")")
            return found
        if token.kind not in ("number", "text", "name"):
            raise self._unexpected("a value")
        self._at += 1
        if token.kind == "number":
            return Constant(float(token.text))
        if token.kind == "text":
            return Constant(_ESCAPED.sub(r"\1", token.text[1:-1]))
        if token.text in _CONSTANTS:
            return Constant(_CONSTANTS[token.text])
        return self._call(token) if self._take("(") else Name(token.text)

    def _call(self, function: _Token) -> Expression:
        if function.text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            message = f"there is no function {function.text}; there are {known}"
            raise FormulaError(message, function.position)
        arguments = [self._choice()]
        while self._take(","):
            arguments.append(self._choice())
        self._expect(")")
        least, most = FUNCTIONS[function.text]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            message = f"{function.text} takes at most {most} values"
            raise FormulaError(message, function.position)
        return Operation(function.text, tuple(arguments))
