"""Cursors of lists: opaque text that says where the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, TypeAlias, TypeVar

import msgspec

from kaireon_application.errors import InvalidInput

T = TypeVar("T")
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Offset(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A position that is the number of things before it."""

    count: Count


def encode_cursor(position: object) -> str | None:
    """Return the cursor of a position (an `Offset`, an id, another struct), None for None: there is no next page."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(cursor: str | None, declared: type[T]) -> T | None:
    """Return the position that a cursor stands for, None for None. Raises `InvalidInput` when it is none of ours."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=declared)
    except (binascii.Error, UnicodeError, msgspec.MsgspecError):
        message = "is not a cursor; take `pagination.nextCursor` of the previous page"
        raise InvalidInput.at("query.cursor", message) from None
