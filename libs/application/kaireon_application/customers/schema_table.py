"""A schema's table as data: its columns, and which values fit into them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC
from typing import Any, Literal

import msgspec

from kaireon_application.catalog.instant import parse_instant

DataType = Literal["varchar", "text", "integer", "bigint", "double", "numeric", "boolean", "date", "timestamp", "json"]

CUSTOMER_COLUMNS = ("customer_id", "customerId")
_INTEGER_LIMIT = 2**31
_BIGINT_LIMIT = 2**63
_WHOLE = re.compile(r"-?[0-9]{1,19}")


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column; `default` is in wire form."""

    name: str
    data_type: DataType
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    is_nullable: bool = True
    is_primary_key: bool = False
    is_unique: bool = False
    default: Any = None

    @property
    def is_required(self) -> bool:
        """Whether a row without a value for it is refused."""
        return (self.is_primary_key or not self.is_nullable) and self.default is None


class SchemaTable(msgspec.Struct, frozen=True, kw_only=True):
    """The table of one schema, in a Postgres schema of its tenant."""

    name: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """Return the column of this name."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def declared_key(self) -> tuple[str, ...]:
        """The columns that were declared as primary key; may be none."""
        return tuple(column.name for column in self.columns if column.is_primary_key)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key; the row number when no field was declared as key."""
        return self.declared_key or (self.row_number or "",)

    @property
    def row_number(self) -> str | None:
        """The name of the column that numbers the rows, when no field was declared as key."""
        if self.declared_key:
            return None
        return "id" if self.column("id") is None else "_row_id"

    @property
    def customer_column(self) -> Column | None:
        """The column that says whose row this is: by its name, else the only key."""
        named = next((column for name in CUSTOMER_COLUMNS if (column := self.column(name))), None)
        keys = [column for column in self.columns if column.is_primary_key]
        return named or (keys[0] if len(keys) == 1 else None)


def table_of(body: dict[str, Any]) -> SchemaTable:
    """Return the table that a schema's body describes."""
    return SchemaTable(name=body["tableName"], columns=tuple(_column(field) for field in body["fields"]))


def _column(field: dict[str, Any]) -> Column:
    return Column(
        name=field["name"],
        data_type=field["dataType"],
        length=field["length"],
        precision=field["precision"],
        scale=field["scale"],
        is_nullable=field["isNullable"],
        is_primary_key=field["isPrimaryKey"],
        is_unique=field["isUnique"],
        default=field["defaultValue"],
    )


def default_problem(field: dict[str, Any]) -> str | None:
    """Return what is wrong with the default of a schema field, or None."""
    return None if field["defaultValue"] is None else value_problem(_column(field), field["defaultValue"])


def value_problem(column: Column, value: object) -> str | None:
    """Return why a JSON value does not fit into a column, or None; null is judged elsewhere."""
    if not _FITS[column.data_type](value):
        return f"must be {_MEANING[column.data_type]}"
    if column.length is not None and len(str(value)) > column.length:
        return f"must have at most {column.length} characters"
    if column.precision is not None and isinstance(value, int | float):
        whole_digits = column.precision - (column.scale or 0)
        if abs(round(value, column.scale or 0)) >= 10**whole_digits:
            return f"must have at most {whole_digits} digits before the point"
    return None


def stored_form(column: Column, value: object) -> object:
    """Return a fitting value in the one form that Postgres reads without doubt."""
    if isinstance(value, str) and column.data_type in {"date", "timestamp"}:
        instant = parse_instant(value)
        assert instant is not None, value  # noqa: S101  the value was found to fit
        return instant.date().isoformat() if column.data_type == "date" else instant.isoformat()
    return value


def cast_for_lookup(column: Column, value: object) -> object | None:
    """Return a value as the column's type holds it, or None when it cannot be one."""
    cast = _CASTS.get(column.data_type)
    found = cast(value) if cast and value is not None else None
    return found if found is not None and (column.data_type in {"date", "timestamp"} or _fits(column, found)) else None


def _fits(column: Column, value: object) -> bool:
    return _FITS[column.data_type](value)


def _is_whole(limit: int) -> Callable[[object], bool]:
    def is_whole(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit

    return is_whole


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_instant(value: object) -> bool:
    return isinstance(value, str) and parse_instant(value) is not None


def _is_date(value: object) -> bool:
    return isinstance(value, str) and len(value) == len("2026-01-31") and parse_instant(value) is not None


_FITS: dict[DataType, Callable[[object], bool]] = {
    "varchar": _is_text,
    "text": _is_text,
    "integer": _is_whole(_INTEGER_LIMIT),
    "bigint": _is_whole(_BIGINT_LIMIT),
    "double": _is_number,
    "numeric": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "date": _is_date,
    "timestamp": _is_instant,
    "json": lambda _value: True,
}
_MEANING: dict[DataType, str] = {
    "varchar": "text",
    "text": "text",
    "integer": "a whole number of 32 bits",
    "bigint": "a whole number of 64 bits",
    "double": "a number",
    "numeric": "a number",
    "boolean": "true or false",
    "date": "a date like 2026-01-31",
    "timestamp": "an ISO 8601 instant",
    "json": "JSON",
}


def _to_text(value: object) -> object | None:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _to_whole(value: object) -> object | None:
    if isinstance(value, str):
        digits = value.removeprefix("-")
        return (
            int(value) if digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_BIGINT_LIMIT)) else None
        )
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _to_number(value: object) -> object | None:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return None


def _to_boolean(value: object) -> object | None:
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else value


def _to_instant(value: object) -> object | None:
    instant = parse_instant(value) if isinstance(value, str) else None
    return instant.astimezone(UTC) if instant else None


def _to_date(value: object) -> object | None:
    instant = parse_instant(value) if isinstance(value, str) else None
    return instant.date() if instant else None


_CASTS: dict[DataType, Callable[[object], object | None]] = {
    "varchar": _to_text,
    "text": _to_text,
    "integer": _to_whole,
    "bigint": _to_whole,
    "double": _to_number,
    "numeric": _to_number,
    "boolean": _to_boolean,
    "date": _to_date,
    "timestamp": _to_instant,
}
