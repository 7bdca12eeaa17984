"""The customers of a simulation in a file: a JSON list, or one JSON value a line; each an id or an object."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec

from kaireon_application.errors import InvalidInput

_LINES = frozenset({".ndjson", ".jsonl"})


def read_customers(file: Path) -> list[dict[str, Any]]:
    """Return the customers as /simulate takes them. Raises `InvalidInput` for a file that holds something else."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    found = _lines(content, file) if file.suffix in _LINES else _list(content, file)
    return [_customer(one, where) for where, one in found]


def _list(content: bytes, file: Path) -> list[tuple[str, Any]]:
    found = _decoded(content, str(file))
    if isinstance(found, dict):
        # The body of a request is welcome too.
        found = cast("dict[str, Any]", found).get("customers")
    if not isinstance(found, list):
        raise InvalidInput(f"{file}: $: must be a list of customers")
    return [(f"{file}: $[{place}]", one) for place, one in enumerate(cast("list[Any]", found))]


def _lines(content: bytes, file: Path) -> list[tuple[str, Any]]:
    numbered = enumerate(content.splitlines(), 1)
    return [
        (f"{file}: line {number}", _decoded(line, f"{file}: line {number}"))
        for number, line in numbered
        if line.strip()
    ]


def _decoded(content: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{where}: {error}") from None


def _customer(one: Any, where: str) -> dict[str, Any]:
    if isinstance(one, str):
        return {"customerId": one}
    if not isinstance(one, dict) or "customerId" not in one:
        raise InvalidInput(f"{where}: must be a customer id, or an object with customerId")
    return cast("dict[str, Any]", one)
