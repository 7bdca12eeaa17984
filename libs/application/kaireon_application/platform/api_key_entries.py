"""What the audit log says of API keys: everything but the key and its hash."""

from __future__ import annotations

from typing import Any

import msgspec

from kaireon_application.governance.audit_log import AuditAction, AuditEntry, Write, written
from kaireon_application.platform.api_key import ApiKey

_KIND = "api_key"
# When a key was used is no change of it.
_UNTOLD = frozenset({"last_used_at"})


def issue_entries(key: ApiKey) -> list[AuditEntry]:
    """Return the entry for a key that was issued."""
    return written(AuditAction.CREATE, _KIND, Write(id=str(key.id), version=1, before=None, after=_document(key)))


def revocation_entries(key: ApiKey, reason: str | None) -> list[AuditEntry]:
    """Return the entry for a key that was revoked, with the reason that was given."""
    write = Write(id=str(key.id), version=2, before=_document(key), after=None)
    return [
        msgspec.structs.replace(entry, changes={"revokedReason": {"from": None, "to": reason}})
        for entry in written(AuditAction.DELETE, _KIND, write)
    ]


def _document(key: ApiKey) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(key)
    return {_camel(name): value for name, value in fields.items() if name not in _UNTOLD}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
