"""The documented older forms `PUT | DELETE /x?id=` (and `id` in the body of a PUT), which stand for `/x/{id}`.

One layer for all operations: `RouteTable` finds the operation, this takes the id from where it is. They are not part
of the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from kaireon_application.errors import InvalidInput


def resolve_alias(query: Mapping[str, str], raw: bytes) -> tuple[str, bytes]:
    """Return the id that a request names, and its body without it. Raises `InvalidInput` when it names none or two."""
    # A key names a thing as its id does.
    in_query = query.get("id") or query.get("key", "")
    in_body, rest = _taken_from(raw)
    if in_query and in_body and in_query != in_body:
        raise InvalidInput("The query string and the body name different ids")
    id = in_query or in_body
    if not id:
        raise InvalidInput.at("$.id", "id is required: in the path, as ?id=, or in the body of a PUT")
    return id, rest


def _taken_from(raw: bytes) -> tuple[str, bytes]:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "", raw  # its decoder says what is wrong with it
    if not isinstance(body, dict):
        return "", raw
    fields = cast("dict[str, Any]", body)
    id = fields.pop("id", None)
    return (id, msgspec.json.encode(fields)) if isinstance(id, str) else ("", raw)
