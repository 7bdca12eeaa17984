"""The JSONPath that says where the scores stand in a service's answer."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from jsonpath.segments import JSONPathRecursiveDescentSegment
from jsonpath.selectors import IndexSelector, NameSelector, SliceSelector, WildcardSelector

# Each finds in one pass. Filters, functions and lists of selectors do not, and an answer may have 1 MiB.
_SELECTORS = (NameSelector, IndexSelector, SliceSelector, WildcardSelector)
_PROBLEM = "must be a JSONPath (RFC 9535) of names, indexes, slices and wildcards, with at most one `..`"


class InvalidPath(ValueError):
    """This is no JSONPath, or one of a form that is not supported."""

    def __init__(self) -> None:
        super().__init__(_PROBLEM)


@lru_cache(maxsize=1024)
def compile_path(path: str) -> JSONPath:
    """Return the path compiled. Raises `InvalidPath`."""
    environment = JSONPathEnvironment(strict=True)
    environment.function_extensions.clear()
    try:
        compiled = environment.compile(path)
    except (JSONPathError, RecursionError):
        raise InvalidPath from None
    segments = compiled.segments if isinstance(compiled, JSONPath) else ()
    descents = sum(isinstance(segment, JSONPathRecursiveDescentSegment) for segment in segments)
    is_simple = all(
        len(segment.selectors) == 1 and isinstance(segment.selectors[0], _SELECTORS) for segment in segments
    )
    if not isinstance(compiled, JSONPath) or not is_simple or descents > 1:
        raise InvalidPath
    return compiled


def found_at(path: str, document: object) -> list[object]:
    """Return what the path finds in decoded JSON; a document that is too deep for it holds nothing."""
    try:
        return compile_path(path).findall(cast("dict[str, object]", document))
    except (JSONPathError, RecursionError):
        return []
