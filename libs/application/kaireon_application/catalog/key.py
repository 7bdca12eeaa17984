"""Stable keys of configured things: checked when given, derived from the name when not."""

from __future__ import annotations

import re
import unicodedata

_LOOKS_LIKE_ID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_NOT_IN_KEY = re.compile(r"[^a-z0-9]+")
_MAX_LENGTH = 240  # leaves room for a number within the limit of 255


def key_problem(key: str) -> str | None:
    """Return what is wrong with a key that a caller chose, or None."""
    if _LOOKS_LIKE_ID.fullmatch(key):
        return "must not look like a UUID"
    if key.endswith("\n"):
        return "must not end with a line break"
    return None


def stem_of(name: str, fallback: str, separator: str) -> str:
    """Return the key that a name stands for: lower case, ASCII, words joined by `separator`."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = _NOT_IN_KEY.sub(separator, ascii_name).strip(separator)[:_MAX_LENGTH] or fallback
    return f"{fallback}{separator}{stem}" if _LOOKS_LIKE_ID.fullmatch(stem) else stem


def free_key(stem: str, separator: str, taken: set[str]) -> str:
    """Return the stem, or the stem with the first number from 2 on that is not taken."""
    if stem not in taken:
        return stem
    number = 2
    while f"{stem}{separator}{number}" in taken:
        number += 1
    return f"{stem}{separator}{number}"
