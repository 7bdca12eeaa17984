"""A tenant with one API key per role."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from kaireon_application.platform.api_key import KeyRole, NewApiKey, create_api_key
from kaireon_application.platform.tenant import create_tenant as create
from kaireon_storage.postgres.api_keys import PostgresApiKeys
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.tenants import PostgresTenants

# What tests give every process as API_KEY_PEPPER.
TEST_PEPPER = "pepper-of-the-tests-a-secret-of-nothing"


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A created tenant; `api_keys` maps role -> API key in clear."""

    tenant_id: UUID
    key: str
    api_keys: Mapping[str, str]


async def create_tenant_at(database_url: str, key: str = "acme") -> Tenant:
    """Create a tenant in the database at this address."""
    database = Database(database_url, application_name="tests")
    await database.open()
    try:
        return await create_tenant(database, key)
    finally:
        await database.close()


async def create_tenant(database: Database, key: str = "acme") -> Tenant:
    """Create a tenant, as `kaireon tenant create` does, and a key for each further role."""
    now = datetime.now(UTC)
    created = await create(PostgresTenants(database), key=key, name=key.title(), pepper=TEST_PEPPER, now=now)
    api_keys = {KeyRole.ADMIN.value: created.api_key}
    store = PostgresApiKeys(database)
    for role in (KeyRole.EDITOR, KeyRole.VIEWER):
        request = NewApiKey(name=role.value, role=role)
        issued = await create_api_key(store, created.tenant_id, request, pepper=TEST_PEPPER, now=now)
        api_keys[role.value] = issued.text
    return Tenant(tenant_id=created.tenant_id, key=key, api_keys=api_keys)
