"""Arrays as Postgres reads them: text literals, and binary for bytes; for hundreds of values the fastest way in."""

from __future__ import annotations

import struct
from collections.abc import Iterable

_BYTEA_OID = 17
_INT = struct.Struct(">i")
# A length of its own kind.
_NULL = _INT.pack(-1)


def array(values: Iterable[object]) -> str:
    """Return `{...}` of values whose text needs no quotes (ids, numbers, keys of ours); None is NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def nested_array(rows: Iterable[Iterable[object]]) -> str:
    """Return a `text[]` of what `array` makes of each: unnest would take an array of arrays apart altogether."""
    return "{" + ",".join([f'"{array(row)}"' for row in rows]) + "}"


def text_array(values: Iterable[str | None]) -> str:
    """Return `{...}` of any text."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def bytes_array(values: Iterable[bytes | None]) -> bytes:
    """Return a `bytea[]` in Postgres' binary form: as text every byte would travel as two."""
    items = list(values)
    has_nulls = None in items
    dimensions = (1, has_nulls, _BYTEA_OID, len(items), 1) if items else (0, 0, _BYTEA_OID)
    parts = [struct.pack(f">{len(dimensions)}i", *dimensions)]
    for item in items:
        parts += (_NULL,) if item is None else (_INT.pack(len(item)), item)
    return b"".join(parts)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
