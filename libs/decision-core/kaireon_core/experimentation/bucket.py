"""Buckets: the same customer always falls into the same one, wherever and whenever it is asked."""

from __future__ import annotations

from collections.abc import Sequence

_OFFSET_BASIS = 0x811C9DC5
_PRIME = 0x01000193
BUCKETS = 100


def fnv1a_32(text: str) -> int:
    """Return the 32-bit FNV-1a hash of a text in UTF-8 (Fowler, Noll, Vo; draft-eastlake-fnv)."""
    hash_ = _OFFSET_BASIS
    for byte in text.encode():
        hash_ = (hash_ ^ byte) * _PRIME & 0xFFFFFFFF
    return hash_


def bucket_of(key: str, customer_id: str, buckets: int = BUCKETS) -> int:
    """Return the customer's bucket of an experiment or holdout, from 0 on."""
    return fnv1a_32(f"{key}:{customer_id}") % buckets


def arm_of(bucket: int, weights: Sequence[int]) -> int:
    """Return which arm a bucket belongs to: the first has the first `weights[0]` buckets, and so on."""
    for arm, weight in enumerate(weights):
        if bucket < weight:
            return arm
        bucket -= weight
    return 0
