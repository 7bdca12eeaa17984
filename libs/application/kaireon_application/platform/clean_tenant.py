"""Clean up for one tenant at once, instead of waiting for the scheduled job."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction, AuditEntry
from kaireon_application.platform.data_class import DataClass


class Cleaned(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many of each were removed."""

    expired_variant_assignments: int
    old_audit_logs: int


class TenantCleaner(Protocol):
    """Removes what a tenant has no more use for, inside one transaction."""

    async def kept_days(self) -> Mapping[DataClass, int | None]:
        """Return for how many days each class is kept; None: for ever, or for as long as it is on hold."""
        ...

    async def delete_assignments(self, before: datetime) -> int:
        """Delete variant assignments that ended before then, up to 50,000; return how many."""
        ...

    async def trim_audit(self, before: datetime) -> int:
        """Cut off the beginning of the audit log; return how many rows that were."""
        ...

    async def note(self, entry: AuditEntry) -> None:
        """Write this to the audit log."""
        ...


class TenantCleaners(Protocol):
    """Opens transactions. Raises `Unavailable` while the storage is away."""

    def cleaning(self, tenant_id: UUID, actor: Actor) -> AbstractAsyncContextManager[TenantCleaner]:
        """Open a transaction in which this actor cleans up."""
        ...


async def clean_tenant(cleaners: TenantCleaners, tenant_id: UUID, actor: Actor, now: datetime) -> Cleaned:
    """Remove assignments that have ended and audit rows past their retention, unless they are on legal hold.

    All of it or none, with its entry in the audit log: while a hold cannot be read, nothing is removed.
    """
    async with cleaners.cleaning(tenant_id, actor) as cleaner:
        days = await cleaner.kept_days()
        is_held, audit_days = days[DataClass.INTERACTIONS] is None, days[DataClass.AUDIT]
        cleaned = Cleaned(
            expired_variant_assignments=0 if is_held else await cleaner.delete_assignments(now),
            old_audit_logs=0 if audit_days is None else await cleaner.trim_audit(now - timedelta(days=audit_days)),
        )
        await cleaner.note(
            AuditEntry(
                action=AuditAction.CLEANUP,
                entity_type="tenant",
                entity_id=str(tenant_id),
                entity_name="cleanup",
                after=msgspec.to_builtins(cleaned),
            )
        )
    return cleaned
