"""What the audit log says of tenants and their settings."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from kaireon_application.governance.audit_log import AuditAction, AuditEntry, Write, written
from kaireon_application.platform.tenant import Tenant


def tenant_entries(tenant: Tenant) -> list[AuditEntry]:
    """Return the entry for a tenant that was created: the first one of its log."""
    document = {"key": tenant.key, "name": tenant.name}
    return written(
        AuditAction.CREATE, "tenant", Write(id=str(tenant.tenant_id), version=1, before=None, after=document)
    )


def settings_entries(
    tenant_id: UUID, tenant_key: str, before: dict[str, Any], after: dict[str, Any]
) -> list[AuditEntry]:
    """Return the entry for settings that were changed; what was never set is not in them."""
    write = Write(id=str(tenant_id), version=None, before=before, after=after, name=tenant_key)
    return written(AuditAction.UPDATE, "tenant_settings", write)
