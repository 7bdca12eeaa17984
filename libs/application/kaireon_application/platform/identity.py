"""Ids that sort by time: UUIDv7 (RFC 9562, section 5.7)."""

from __future__ import annotations

import os

_RANDOM_BYTES = 10


def new_ids(now_ms: int, count: int) -> list[str]:
    """Return `count` UUIDv7 that carry this instant (ms since the epoch)."""
    digits = os.urandom(_RANDOM_BYTES * count).hex()
    time = f"{now_ms:012x}"
    prefix = f"{time[:8]}-{time[8:]}-7"
    width = 2 * _RANDOM_BYTES
    return [_format(prefix, digits[start : start + width]) for start in range(0, width * count, width)]


def _format(prefix: str, digits: str) -> str:
    variant = "89ab"[int(digits[3], 16) & 3]
    return f"{prefix}{digits[:3]}-{variant}{digits[4:7]}-{digits[7:19]}"


def instant_of(id_: str) -> int:
    """Return the instant (ms since the epoch) that a UUIDv7 carries."""
    return int(id_[:8] + id_[9:13], 16)
