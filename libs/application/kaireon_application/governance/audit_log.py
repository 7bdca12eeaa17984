"""The audit log: what is written for each change, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID, uuid4

import msgspec

from kaireon_application.governance.actor import Actor
from kaireon_core.governance.audit_chain import row_hash
from kaireon_core.governance.audited import changed_fields, kept

_MANDATORY_TERMS = ("mandatory", "mandatoryReason", "mandatoryExpiresAt", "mandatoryApprovedBy")


class AuditAction(StrEnum):
    """What was done."""

    CREATE = "create"
    UPDATE = "update"
    SOFT_DELETE = "soft_delete"
    RESTORE = "restore"
    DELETE = "delete"
    PUBLISH = "publish"
    APPROVE = "approve"
    REJECT = "reject"
    EXPIRE = "expire"
    USE = "use"
    ERASE = "erase"
    CLEANUP = "cleanup"
    GITOPS_DRIFT_DETECTED = "gitops_drift_detected"
    PROMOTE = "promote"
    TRAIN = "train"
    RESET_LEARNING = "reset_learning"
    MANDATORY_OVERRIDE = "mandatory_override"
    ROLLBACK_GUARD_BYPASS = "rollback_guard_bypass"
    DRIFT_EVALUATE = "drift_evaluate"


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done, before it has its place in the chain."""

    action: AuditAction
    entity_type: str
    entity_id: str
    entity_name: str
    entity_version: int | None = None
    changes: dict[str, Any] = {}
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """A configured thing before and after it was written, as readers are shown it; None where it is not there."""

    id: str
    version: int | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    # How it is called, when its document does not say so.
    name: str | None = None


class AuditRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One row as it is answered; `integrityHash` is the SHA-256 of the canonical JSON of all other fields."""

    id: UUID
    tenant_id: UUID
    sequence: int
    timestamp: datetime
    action: str
    entity_type: str
    entity_id: str
    entity_name: str
    entity_version: int | None
    changes: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    user_id: str
    user_name: str
    user_role: str
    request_id: str | None
    prev_hash: str
    integrity_hash: str


class ChainHead(msgspec.Struct, frozen=True, kw_only=True):
    """The last row of a tenant's chain: its number (0: there is none yet) and hash."""

    sequence: int
    integrity_hash: str
    # Up to where retention has cut the chain, and the hash of the last row that went.
    trimmed_through: int = 0
    trimmed_hash: str | None = None


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to read, newest first; `before` is the sequence of the last row of the page before."""

    limit: int
    offset: int = 0
    before: int | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    action: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None


class AuditLogs(Protocol):
    """Reads one tenant's log. Every method raises `Unavailable` while the storage is away."""

    async def page(self, tenant_id: UUID, query: AuditQuery) -> list[AuditRow]:
        """Return the rows of a query, newest first."""
        ...

    async def total(self, tenant_id: UUID, query: AuditQuery) -> int:
        """Return how many rows a query finds on all pages."""
        ...

    async def head(self, tenant_id: UUID) -> ChainHead:
        """Return where the chain ends, as its last writer noted it."""
        ...

    async def span(self, tenant_id: UUID, after: int, through: int, limit: int) -> list[AuditRow]:
        """Return rows in the order of the chain: those whose sequence is above `after` and at most `through`."""
        ...

    async def first_misplaced(self, tenant_id: UUID) -> UUID | None:
        """Return the first row that does not follow the one before it, or stands behind the chain's end; or None."""
        ...


def written(action: AuditAction, kind: str, write: Write) -> list[AuditEntry]:
    """Return the entries for a thing that was written.

    An offer that becomes mandatory, or is so on other terms, passes rules and policies by: that has its own entry.
    """
    old, new = (None if document is None else kept(document) for document in (write.before, write.after))
    changes = {} if old is None or new is None else changed_fields(old, new)
    entry = AuditEntry(
        action=action,
        entity_type=wire_type(kind),
        entity_id=write.id,
        entity_name=write.name or str((write.after or write.before or {}).get("name", "")),
        entity_version=write.version,
        changes=changes,
        before=old,
        after=new,
    )
    override = _mandatory_override(old or {}, new or {}) if kind == "offer" else {}
    if not override:
        return [entry]
    noted = msgspec.structs.replace(
        entry, action=AuditAction.MANDATORY_OVERRIDE, changes=override, before=None, after=None
    )
    return [entry, noted]


def _mandatory_override(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the changed terms of an offer that is mandatory now."""
    if not after.get("mandatory"):
        return {}
    terms = ({name: document.get(name) for name in _MANDATORY_TERMS} for document in (before, after))
    return changed_fields(*terms)


def chained(
    entries: Sequence[AuditEntry], tenant_id: UUID, actor: Actor, head: ChainHead, at: datetime
) -> list[AuditRow]:
    """Return the rows that continue a chain at an instant (UTC), in the order of the entries."""
    rows: list[AuditRow] = []
    for place, entry in enumerate(entries, start=1):
        row = AuditRow(
            id=uuid4(),
            tenant_id=tenant_id,
            sequence=head.sequence + place,
            timestamp=at,
            action=entry.action.value,
            entity_type=entry.entity_type,
            entity_id=entry.entity_id,
            entity_name=entry.entity_name,
            entity_version=entry.entity_version,
            changes=entry.changes,
            before=entry.before,
            after=entry.after,
            user_id=actor.user_id,
            user_name=actor.user_name,
            user_role=actor.role,
            request_id=actor.request_id,
            prev_hash=rows[-1].integrity_hash if rows else head.integrity_hash,
            integrity_hash="",
        )
        rows.append(msgspec.structs.replace(row, integrity_hash=row_hash(msgspec.to_builtins(row))))
    return rows


def wire_type(kind: str) -> str:
    """Return a kind's name as the log tells it: `algorithm_model` is `algorithmModel`."""
    first, *others = kind.split("_")
    return first + "".join(word.capitalize() for word in others)
