"""Tenants: created with their first key and the outcome types that every tenant has."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from kaireon_application.errors import Conflict, InvalidInput, NotFound
from kaireon_application.platform.api_key import ApiKey, KeyRole, NewApiKey, hash_api_key, issue_api_key
from kaireon_application.platform.system_outcome_types import SYSTEM_OUTCOME_TYPES, SystemOutcomeType

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME_CHARACTERS = 255


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of isolation."""

    tenant_id: UUID
    key: str
    name: str


class CreatedTenant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A new tenant, with the only copy of its admin key."""

    tenant_id: UUID
    key: str
    name: str
    api_key: str


class TenantStore(Protocol):
    """Keeps the tenants. Every method may raise `Unavailable`."""

    async def add(
        self, tenant: Tenant, admin_key: ApiKey, key_hash: bytes, outcome_types: tuple[SystemOutcomeType, ...]
    ) -> bool:
        """Store a tenant with its first key and outcome types, at once; return False when its key is taken.

        The audit log begins with them, as the system's.
        """
        ...

    async def find(self, reference: str) -> Tenant | None:
        """Return the tenant that this id or key names."""
        ...

    async def config_versions(self) -> dict[UUID, int]:
        """Return every tenant's configuration version, which each write to its configuration raises."""
        ...


async def create_tenant(store: TenantStore, *, key: str, name: str, pepper: str, now: datetime) -> CreatedTenant:
    """Create a tenant that holds one admin key and the system's outcome types.

    Raises `InvalidInput` for a key or name that cannot be, `Conflict` when the key is taken.
    """
    if not _KEY.fullmatch(key) or _UUID.fullmatch(key):
        raise InvalidInput.at("$.key", "must be 1 to 255 letters, digits, dots, dashes or underscores, and no UUID")
    if not 1 <= len(name.strip()) <= _NAME_CHARACTERS:
        raise InvalidInput.at("$.name", f"must have 1 to {_NAME_CHARACTERS} characters")
    tenant = Tenant(tenant_id=uuid4(), key=key, name=name)
    admin = issue_api_key(NewApiKey(name="admin", role=KeyRole.ADMIN), now=now)
    if not await store.add(tenant, admin.record, hash_api_key(pepper, admin.text), SYSTEM_OUTCOME_TYPES):
        raise Conflict(f"There is a tenant with the key {key} already; choose another key")
    return CreatedTenant(tenant_id=tenant.tenant_id, key=key, name=name, api_key=admin.text)


async def find_tenant(store: TenantStore, reference: str) -> Tenant:
    """Return the tenant that this id or key names. Raises `NotFound`."""
    tenant = await store.find(reference)
    if tenant is None:
        raise NotFound(f"There is no tenant {reference}")
    return tenant
