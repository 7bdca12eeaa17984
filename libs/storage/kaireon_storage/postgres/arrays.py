"""Arrays as Postgres reads them: as text, in binary for bytes and JSON; for hundreds of values the fastest way in."""

from __future__ import annotations

import struct
from collections.abc import Iterable

_BYTEA_OID, _TEXT_OID = 17, 25
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
    """Return a `bytea[]`: as text every byte would travel as two."""
    return _binary(_BYTEA_OID, list(values))


def json_array(values: Iterable[bytes | None]) -> bytes:
    """Return a `text[]` of JSON in UTF-8: as text each of its many quotes would need one of our own."""
    return _binary(_TEXT_OID, list(values))


def _binary(element: int, items: list[bytes | None]) -> bytes:
    dimensions = (1, None in items, element, len(items), 1) if items else (0, 0, element)
    parts = [struct.pack(f">{len(dimensions)}i", *dimensions)]
    for item in items:
        parts += (_NULL,) if item is None else (_INT.pack(len(item)), item)
    return b"".join(parts)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
