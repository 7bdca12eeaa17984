"""Rows of a schema in a file: CSV with a header line, or one JSON object a line; `.gz` of both."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import msgspec

from kaireon_application.customers.schema_data import checked_rows
from kaireon_application.customers.schema_table import SchemaTable
from kaireon_application.errors import InvalidInput

_JSON_SUFFIXES = frozenset({".ndjson", ".jsonl"})


class RowFile(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that a file has, and its rows in their order, as text or values that Postgres reads."""

    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any]]


@contextmanager
def opened_rows(file: Path, table: SchemaTable) -> Generator[RowFile]:
    """Open a file of rows for a table. Raises `InvalidInput` for one that cannot be read or does not fit."""
    suffixes = [suffix for suffix in file.suffixes if suffix != ".gz"]
    read = _json_rows if suffixes and suffixes[-1] in _JSON_SUFFIXES else _csv_rows
    try:
        with _opened(file) as text:
            yield read(text, table, file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{file}: {getattr(error, 'strerror', None) or error}") from None


def _opened(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _csv_rows(text: TextIO, table: SchemaTable, file: Path) -> RowFile:
    lines = csv.reader(text, strict=True)
    columns = tuple(next(lines, ()))
    unknown = [name for name in columns if table.column(name) is None]
    if unknown or not columns:
        raise InvalidInput(f"{file}: {', '.join(unknown) or 'the first line'} names no field of {table.name}")
    missing = [column.name for column in table.columns if column.is_required and column.name not in columns]
    if missing:
        raise InvalidInput(f"{file}: {', '.join(missing)} is required")

    def rows() -> Iterator[Sequence[Any]]:
        for line in lines:
            if len(line) != len(columns):
                raise InvalidInput(f"{file}: line {lines.line_num}: {len(line)} values for {len(columns)} columns")
            _require_text(line, f"{file}: line {lines.line_num}")
            # An empty value is no value: CSV has no other way to say so.
            yield [value or None for value in line]

    return RowFile(columns=columns, rows=rows())


def _json_rows(text: TextIO, table: SchemaTable, file: Path) -> RowFile:
    columns = tuple(column.name for column in table.columns)
    documents = {column.name for column in table.columns if column.data_type == "json"}

    def rows() -> Iterator[Sequence[Any]]:
        for number, line in enumerate(text, 1):
            if line.strip():
                row = _checked(line, table, f"{file}: line {number}")
                _require_text(row.values(), f"{file}: line {number}")
                yield [_document(row[name]) if name in documents else row[name] for name in columns]

    return RowFile(columns=columns, rows=rows())


def _require_text(values: Iterable[object], where: str) -> None:
    # Postgres has no text with a null character; its client says so without a line number.
    if any(isinstance(value, str) and "\0" in value for value in values):
        raise InvalidInput(f"{where}: contains a null character")


def _checked(line: str, table: SchemaTable, where: str) -> dict[str, Any]:
    try:
        return checked_rows(table, [msgspec.json.decode(line, type=dict[str, Any])])[0]
    except (msgspec.DecodeError, InvalidInput) as error:
        raise InvalidInput(f"{where}: {error}") from None


def _document(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
