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


class PositionalQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as Postgres reads it: `$1` is the value of `names[0]`, and so on."""

    text: bytes
    names: tuple[str, ...]

    def bind(self, values: Mapping[str, str | bytes | None]) -> BoundStatement:
        """Return the statement with these values in its order: `str` in text form, `bytes` in binary form."""
        return self.text, [values[name] for name in self.names]


@cache
def positional(noun: str, name: str) -> PositionalQuery:
    """Return a statement for `RoundTrips`."""
    names = dict[str, int]()

    def number(match: re.Match[str]) -> str:
        return f"${names.setdefault(match[1], len(names) + 1)}"

    sql: str = getattr(queries(noun), name).sql
    text = _PLACEHOLDER.sub(number, sql).replace("%%", "%")
    return PositionalQuery(text=text.encode(), names=tuple(names))
