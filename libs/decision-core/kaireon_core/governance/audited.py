"""What the audit log keeps of a document: all of it, except that a long value leaves its digest only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kaireon_core.governance.audit_chain import canonical

# A flow of some dozens of nodes stays readable; a model's trees do not belong into a log.
MAX_FIELD_BYTES = 16 * 1024
MAX_DOCUMENT_BYTES = 256 * 1024


def kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with `{"sha256", "bytes"}` of its canonical JSON in place of each field above 16 KiB.

    A document of more than 256 KiB even then leaves nothing but such digests of its fields.
    """
    if len(canonical(document)) <= MAX_FIELD_BYTES:  # as nearly every one: its fields need not be looked at
        return dict(document)
    sizes = {name: canonical(value) for name, value in document.items()}
    most = MAX_FIELD_BYTES if sum(map(len, sizes.values())) <= MAX_DOCUMENT_BYTES else _share(sizes)
    return {name: value if len(sizes[name]) <= most else _digest(sizes[name]) for name, value in document.items()}


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"from", "to"}` of each field that differs, by name; a field that is absent is null."""
    names = [*after, *(name for name in before if name not in after)]
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in names
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    }


def _share(sizes: Mapping[str, bytes]) -> int:
    """Return how long a field may be so that all of them together stay within the limit of the document."""
    return min(MAX_FIELD_BYTES, MAX_DOCUMENT_BYTES // len(sizes))


def _digest(text: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)}
