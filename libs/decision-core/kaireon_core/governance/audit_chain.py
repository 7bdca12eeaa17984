"""The audit log as a chain: each row's hash covers the row and the hash of the row before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

# What the first row of a tenant names as the hash before it.
GENESIS = "0" * 64


class BrokenReason(StrEnum):
    """What is wrong with a chain at a row."""

    HASH_MISMATCH = "hash_mismatch"
    CHAIN_LINK_MISMATCH = "chain_link_mismatch"


def canonical(value: Any) -> bytes:
    """Return JSON that is the same wherever it is written: keys sorted, no white space, UTF-8, few escapes.

    It is what Python's `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` writes, numbers
    included, so that anybody can compute it. Raises `ValueError` for a number that JSON does not have.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def row_hash(row: Mapping[str, Any]) -> str:
    """Return the hash of a row as it is answered: SHA-256 (FIPS 180-4) of its canonical JSON without `integrityHash`.

    `prevHash` is one of the fields, which makes the rows a chain.
    """
    return sha256_of(canonical({name: row[name] for name in row if name != "integrityHash"}))


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 (FIPS 180-4) in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def broken_reason(row: Mapping[str, Any], previous_hash: str | None) -> BrokenReason | None:
    """Return what is wrong with a row that follows the row of this hash (None: not known), or None."""
    if row_hash(row) != row["integrityHash"]:
        return BrokenReason.HASH_MISMATCH
    if previous_hash is not None and row["prevHash"] != previous_hash:
        return BrokenReason.CHAIN_LINK_MISMATCH
    return None
