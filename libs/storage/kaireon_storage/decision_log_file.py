"""A decision log as a file in one of its three forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

from kaireon_application.errors import InvalidInput
from kaireon_application.learning.log_rows import checked_row, csv_parts, ndjson_parts, parts_of, unpacked
from kaireon_application.learning.logged_row import MOST_ROWS, LogPart

_BATCH_ROWS = 1_000
_MOST_BYTES = 1024 * 1024 * 1024
_ARROW_ERRORS = (ValueError, TypeError, KeyError, IndexError, NotImplementedError, OSError, MemoryError, OverflowError)
_ATTRIBUTE = "attributes."


def parquet_parts(file: BinaryIO) -> Iterator[LogPart]:
    """Return the parts of a Parquet file, which is read a batch at a time.

    `attributes` is a struct, a map, JSON text, or columns `attributes.NAME`; `eligible` a list or JSON text. Raises
    `InvalidInput` for the first bad row, with its number counted from 0.
    """
    return parts_of(
        checked_row(_document(row, number), number)
        for number, row in enumerate(row for batch in _batches(file) for row in batch)
    )


def _batches(file: BinaryIO) -> Iterator[list[dict[str, Any]]]:
    """Return the rows as plain values. Raises `InvalidInput` for whatever Arrow cannot read."""
    # Only where a Parquet file comes in: nobody should wait for Arrow to be imported.
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    try:
        opened = cast("Any", ParquetFile)(file)
        metadata = opened.metadata
        size: int = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
        if metadata.num_rows > MOST_ROWS or size > _MOST_BYTES:
            raise InvalidInput(f"A log may have {MOST_ROWS} rows, and {_MOST_BYTES} bytes once it is unpacked")
        batches = opened.iter_batches(batch_size=_BATCH_ROWS)
        while (batch := next(batches, None)) is not None:
            yield batch.to_pylist()
    except _ARROW_ERRORS as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InvalidInput(f"The body is not valid Parquet: {reason}") from None


READERS: dict[str, Callable[[BinaryIO], Iterator[LogPart]]] = {
    "application/x-ndjson": ndjson_parts,
    "text/csv": csv_parts,
    "application/vnd.apache.parquet": parquet_parts,
}


def _document(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a row without its nulls, its attributes in one place."""
    document = {name: value for name, value in row.items() if value is not None and not name.startswith(_ATTRIBUTE)}
    if "attributes" in document:
        held = unpacked(document["attributes"], number, "attributes")
        document["attributes"] = dict(cast("list[tuple[str, Any]]", held)) if isinstance(held, list) else held
    if "eligible" in document:
        document["eligible"] = unpacked(document["eligible"], number, "eligible")
    named = {
        name.removeprefix(_ATTRIBUTE): value
        for name, value in row.items()
        if name.startswith(_ATTRIBUTE) and value is not None
    }
    held = document.get("attributes", {})
    if named and isinstance(held, dict):
        document["attributes"] = {**held, **named}
    return document
