"""The details of an interaction (any JSON) as bytes of a bounded size."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from kaireon_runtime.logs import logger

# JSON begins with a brace and zlib's output with 0x78: which of the two it is needs no mark.
_BRACE = b"{"
_PLAIN_BYTES = 4096


def packed_details(details: dict[str, Any] | None, limit_bytes: int) -> bytes | None:
    """Return the details as JSON, compressed where that is long; None where they are too long all the same."""
    if details is None:
        return None
    content = msgspec.json.encode(details)
    if len(content) > _PLAIN_BYTES:
        content = zlib.compress(content)
    if len(content) > limit_bytes:
        logger("kaireon.interaction-store").warning(
            "the details of an interaction are too long for the store; Postgres has them", bytes=len(content)
        )
        return None
    return content


def unpacked_details(content: bytes | None) -> dict[str, Any] | None:
    """Return the details that were packed."""
    if content is None:
        return None
    text = content if content.startswith(_BRACE) else zlib.decompress(content)
    return msgspec.json.decode(text, type=dict[str, Any])
