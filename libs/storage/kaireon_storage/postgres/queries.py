"""The statements of one noun, read from `sql/<noun>.sql`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import aiosql
import msgspec

from kaireon_storage.postgres.round_trip import BoundStatement


@cache
def queries(noun: str) -> Any:
    """Return the noun's statements as async methods: `await queries.<name>(connection, parameter=...)`.

    They exist at run time only, so a type checker sees Any; a test prepares every statement on the migrated schema.
    """
    path = Path(__file__).with_name("sql") / f"{noun}.sql"
    return aiosql.from_path(path, "apsycopg", mandatory_parameters=False)


_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_WITH_QUERY = re.compile(r"^\), (\w+) AS \(", re.MULTILINE)


class PositionalQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as Postgres reads it: `$1` is the value of `names[0]`, and so on."""

    text: bytes
    names: tuple[str, ...]

    def bind(self, values: Mapping[str, str | bytes | None]) -> BoundStatement:
        """Return the statement with these values in its order: `str` in text form, `bytes` in binary form."""
        return self.text, [values[name] for name in self.names]


@cache
def positional(noun: str, name: str, without: frozenset[str] = frozenset()) -> PositionalQuery:
    """Return a statement for `RoundTrips`, without the WITH queries of these names (never its first one)."""
    names = dict[str, int]()

    def number(match: re.Match[str]) -> str:
        return f"${names.setdefault(match[1], len(names) + 1)}"

    sql: str = getattr(queries(noun), name).sql
    text = _PLACEHOLDER.sub(number, _without(sql, without)).replace("%%", "%")
    return PositionalQuery(text=text.encode(), names=tuple(names))


def _without(sql: str, names: frozenset[str]) -> str:
    """Return a statement without some of its WITH queries; each begins on a line of its own, `), name AS (`."""
    if not names:
        return sql
    body, _, tail = sql.rpartition("\n)\n")
    head, *parts = _WITH_QUERY.split(body + "\n")
    queries = zip(parts[::2], parts[1::2], strict=True)
    kept = (f"), {name} AS ({query}" for name, query in queries if name not in names)
    return f"{head}{''.join(kept)})\n{tail}"
