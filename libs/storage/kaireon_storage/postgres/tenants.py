"""Tenants and what they have set, in Postgres."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from kaireon_application.catalog.entities import EntityDraft
from kaireon_application.catalog.outcome_type import OUTCOME_TYPE
from kaireon_application.errors import NotFound
from kaireon_application.governance.actor import SYSTEM, Actor
from kaireon_application.platform.api_key import ApiKey
from kaireon_application.platform.api_key_entries import issue_entries
from kaireon_application.platform.system_outcome_types import SystemOutcomeType
from kaireon_application.platform.tenant import Tenant
from kaireon_application.platform.tenant_entries import settings_entries, tenant_entries
from kaireon_storage.postgres.api_keys import columns
from kaireon_storage.postgres.audit_logs import AuditAppender
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntityWriter
from kaireon_storage.postgres.queries import queries


class PostgresTenants:
    """`TenantStore` and `TenantSettingsStore` on one database."""

    def __init__(self, database: Database) -> None:
        """Take an opened database."""
        self._database = database
        self._sql = queries("tenants")
        self._api_keys = queries("api_keys")

    async def add(
        self, tenant: Tenant, admin_key: ApiKey, key_hash: bytes, outcome_types: tuple[SystemOutcomeType, ...]
    ) -> bool:
        """Store a tenant with its first key and outcome types, at once; return False when its key is taken."""
        tenant_id = tenant.tenant_id
        async with self._database.system_transaction() as connection:
            if await self._sql.add_tenant(connection, tenant_id=tenant_id, key=tenant.key, name=tenant.name) == 0:
                return False
            await self._api_keys.add_api_key(connection, tenant_id=tenant_id, key_hash=key_hash, **columns(admin_key))
            writer = PostgresEntityWriter(connection, tenant_id, SYSTEM)
            await writer.audit.append([*tenant_entries(tenant), *issue_entries(admin_key)])
            drafts = [_draft(given, ordinal) for ordinal, given in enumerate(outcome_types)]
            await writer.insert(OUTCOME_TYPE.name, drafts)
        return True

    async def find(self, reference: str) -> Tenant | None:
        """Return the tenant that this id or key names."""
        async with self._database.system_transaction() as connection:
            row = await self._sql.find_tenant(connection, tenant_id=_as_id(reference), key=reference)
        return None if row is None else Tenant(**row)

    async def config_versions(self) -> dict[UUID, int]:
        """Return every tenant's configuration version."""
        async with self._database.system_transaction() as connection:
            return {row["tenant_id"]: row["config_version"] async for row in self._sql.config_versions(connection)}

    async def read(self, tenant_id: UUID) -> dict[str, Any]:
        """Return what the tenant has set."""
        async with self._database.transaction(tenant_id) as connection:
            return _settings(await self._sql.read_settings(connection, tenant_id=tenant_id))

    async def change(
        self, tenant_id: UUID, change: Callable[[dict[str, Any]], dict[str, Any]], actor: Actor
    ) -> dict[str, Any]:
        """Replace what is set, one writer at a time; raise the tenant's configuration version and note who did it."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.lock_settings(connection, tenant_id=tenant_id)
            before = _settings(row)
            changed = change(before)
            await self._sql.change_settings(connection, tenant_id=tenant_id, settings=Jsonb(changed))
            entries = settings_entries(tenant_id, row["key"], before, changed)
            await AuditAppender(connection, tenant_id, actor).append(entries)
        return changed


def _draft(given: SystemOutcomeType, ordinal: int) -> EntityDraft:
    return EntityDraft(id=uuid4(), key=given.key, name=given.name, status="active", body=_body(given, ordinal))


def _body(given: SystemOutcomeType, ordinal: int) -> dict[str, Any]:
    return {
        "description": given.description,
        "classification": str(given.classification),
        "category": str(given.category),
        "isSystem": True,
        "ordinal": ordinal,
    }


def _settings(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise NotFound("This tenant is gone")
    return row["settings"]


def _as_id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None
