"""What no JSON body may hold, whatever its type: U+0000, integers that other languages round, bottomless nesting."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from kaireon_core.problems import Problem

MAX_DEPTH = 64
MAX_INTEGER = 2**53

# Only a body with an escape, a long run of digits or many brackets can break a rule: most are let through by these
# three scans, at the speed of C.
_SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{16}")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def wire_problems(raw: bytes) -> list[Problem]:
    """Return how valid JSON breaks the rules."""
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and not _is_shallow(raw):
        return [Problem(path="$", message=f"is nested deeper than {MAX_DEPTH}")]
    if _SUSPICIOUS.search(raw) is None:
        return []
    return list(_value_problems(msgspec.json.decode(raw), "$"))


def _is_shallow(raw: bytes) -> bool:
    brackets = _STRING.sub(b"", raw).translate(_ONE_KIND, delete=_NO_BRACKET)
    # Of one kind, so that each turn takes away the innermost level and no other.
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    return not brackets


def _value_problems(value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, str):
        if "\0" in value:
            yield Problem(path=path, message="must not contain U+0000")
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            yield Problem(path=path, message="must not be an integer beyond 2^53; send it as a string")
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _value_problems(key, path)
            yield from _value_problems(item, f"{path}.{key}")
    elif isinstance(value, list):
        for place, item in enumerate(cast("list[Any]", value)):
            yield from _value_problems(item, f"{path}[{place}]")
