"""From the bytes of an uploaded or local decision log to its parts: NDJSON, and CSV with a header line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

import msgspec

from kaireon_application.errors import InvalidInput
from kaireon_application.learning.logged_row import (
    MOST_CELLS,
    MOST_ROWS,
    PART_ROWS,
    LoggedRow,
    LogPart,
    bad_row,
    part_of,
)

# A line of NDJSON that is longer than this is none.
_MOST_LINE_BYTES = 4 * 1024 * 1024
_ATTRIBUTE = "attributes."
_NUMBERS = ("selectionProbability", "reward")

_decode = msgspec.json.Decoder(LoggedRow).decode


def ndjson_parts(file: BinaryIO) -> Iterator[LogPart]:
    """Return the parts of a file with one JSON object a line; blank lines are left out.

    Raises `InvalidInput` for the first bad row, with its number counted from 0.
    """
    return parts_of(_json_row(line, number) for number, line in enumerate(_lines(file)))


def csv_parts(file: BinaryIO) -> Iterator[LogPart]:
    """Return the parts of a CSV file in UTF-8 whose first line names its columns.

    An empty value is no value. `attributes.NAME` columns hold attributes, or `attributes` one JSON object; `eligible`
    is a JSON array, or actions with `|` between them. Raises as `ndjson_parts`.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="strict", newline="")
    try:
        yield from parts_of(_csv_rows(csv.reader(text, strict=True)))
    except UnicodeDecodeError:
        raise InvalidInput("The log is not UTF-8") from None
    finally:
        text.detach()


def parts_of(rows: Iterable[LoggedRow]) -> Iterator[LogPart]:
    """Return rows in parts. Raises `InvalidInput` for a bad row, and beyond the most rows that a log may have."""
    remaining, first, cells = iter(rows), 0, 0
    while taken := list(islice(remaining, PART_ROWS)):
        if first + len(taken) > MOST_ROWS:
            raise InvalidInput(f"A log may have {MOST_ROWS} rows")
        part = part_of(taken, first)
        cells += part.cell_count
        if cells > MOST_CELLS:
            raise InvalidInput(f"A log may have {MOST_CELLS} attributes and eligible actions in all its rows")
        yield part
        first += len(taken)


def checked_row(value: object, number: int) -> LoggedRow:
    """Return a row of plain values. Raises `InvalidInput` with its number."""
    try:
        return msgspec.convert(value, LoggedRow)
    except (msgspec.ValidationError, OverflowError):
        raise bad_row(number, value) from None


def unpacked(value: Any, number: int, name: str) -> Any:
    """Return what a column that holds JSON as text says. Raises `InvalidInput` with the row's number."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput.at(f"$[{number}].{name}", "is not valid JSON") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(_MOST_LINE_BYTES + 1):
        if len(line) > _MOST_LINE_BYTES:
            raise InvalidInput.at(f"$[{number}]", f"is longer than {_MOST_LINE_BYTES} bytes")
        if stripped := line.strip():
            yield stripped
            number += 1


def _json_row(line: bytes, number: int) -> LoggedRow:
    try:
        return _decode(line)
    except msgspec.ValidationError:
        raise bad_row(number, _plain(line, number)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error, number) from None


def _plain(line: bytes, number: int) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error, number) from None


def _not_json(error: Exception, number: int) -> InvalidInput:
    reason = str(error).removeprefix("JSON is malformed: ") if isinstance(error, msgspec.MsgspecError) else "not UTF-8"
    return InvalidInput.at(f"$[{number}]", f"is not valid JSON: {reason}")


def _csv_rows(lines: Any) -> Iterator[LoggedRow]:
    number = 0
    try:
        names = next(lines, None)
        if names is None:
            return
        _require_names(names)
        for line in lines:
            if not line:
                continue
            if len(line) != len(names):
                raise InvalidInput.at(f"$[{number}]", f"has {len(line)} values for {len(names)} columns")
            yield checked_row(_document(names, line, number), number)
            number += 1
    except csv.Error as error:
        raise InvalidInput.at(f"$[{number}]", f"is not valid CSV: {error}") from None


def _require_names(names: list[str]) -> None:
    known = {field.encode_name for field in msgspec.structs.fields(LoggedRow)}
    for name in names:
        if name not in known and not (name.startswith(_ATTRIBUTE) and len(name) > len(_ATTRIBUTE)):
            raise InvalidInput(f"The column '{name}' is not a known field; attributes are named `attributes.NAME`")
    if len(set(names)) < len(names):
        raise InvalidInput("The first line names a column twice")


def _document(names: list[str], line: list[str], number: int) -> dict[str, Any]:
    given = {name: value for name, value in zip(names, line, strict=True) if value != ""}
    document: dict[str, Any] = {name: value for name, value in given.items() if not name.startswith(_ATTRIBUTE)}
    for name in _NUMBERS:
        if name in document:
            document[name] = _number(document[name])
    if "attributes" in document:
        document["attributes"] = unpacked(document["attributes"], number, "attributes")
    if "eligible" in document:
        text: str = document["eligible"]
        document["eligible"] = unpacked(text, number, "eligible") if text.startswith("[") else text.split("|")
    named = {
        name.removeprefix(_ATTRIBUTE): _value(value) for name, value in given.items() if name.startswith(_ATTRIBUTE)
    }
    if named:
        held: Any = document.get("attributes", {})
        document["attributes"] = {**held, **named} if isinstance(held, dict) else held
    return document


def _number(text: str) -> float | str:
    """Return the number that a text is, or the text, for the row's type to refuse."""
    try:
        return float(text)
    except ValueError:
        return text


def _value(text: str) -> str | bool | float:
    return _BOOLEANS[text] if text in _BOOLEANS else _number(text)


_BOOLEANS = {"true": True, "false": False, "True": True, "False": False}
