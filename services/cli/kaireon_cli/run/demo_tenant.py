"""The tenant `demo` and one API key per role, the same ones at every start."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec

from kaireon_application.errors import Conflict
from kaireon_application.platform.api_key import KeyRole, NewApiKey, create_api_key, hash_api_key
from kaireon_application.platform.tenant import create_tenant
from kaireon_storage.postgres.api_keys import PostgresApiKeys
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.tenants import PostgresTenants

DEMO_KEY = "demo"
_DEMO_NAME = "Demo"


class DemoTenant(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant that `make run` prints; `api_keys` maps role -> key."""

    tenant_id: UUID
    api_keys: dict[str, str]


async def ensure_demo_tenant(database_url: str, pepper: str, secrets: Path) -> DemoTenant:
    """Return the tenant with keys that hold, created where they are missing and kept in `secrets` (mode 0600)."""
    database = Database(database_url, max_connections=2, application_name="kaireon-run")
    await database.open()
    try:
        tenant_id = await _tenant(PostgresTenants(database), pepper, secrets)
        keys = PostgresApiKeys(database)
        api_keys = {role.value: await _key(keys, tenant_id, role, pepper, secrets) for role in reversed(KeyRole)}
    finally:
        await database.close()
    return DemoTenant(tenant_id=tenant_id, api_keys=api_keys)


async def _tenant(tenants: PostgresTenants, pepper: str, secrets: Path) -> UUID:
    found = await tenants.find(DEMO_KEY)
    if found is not None:
        return found.tenant_id
    now = datetime.now(UTC)
    try:
        created = await create_tenant(tenants, key=DEMO_KEY, name=_DEMO_NAME, pepper=pepper, now=now)
    except Conflict:
        # Another clone with the same DATABASE_URL was quicker.
        return await _tenant(tenants, pepper, secrets)
    _keep(_file(secrets, KeyRole.ADMIN), created.api_key)
    return created.tenant_id


async def _key(keys: PostgresApiKeys, tenant_id: UUID, role: KeyRole, pepper: str, secrets: Path) -> str:
    file = _file(secrets, role)
    kept = file.read_text().strip() if file.is_file() else ""
    key_hash = hash_api_key(pepper, kept)
    credential = (await keys.find([key_hash])).get(key_hash) if kept else None
    if credential is not None and credential.tenant_id == tenant_id and credential.role is role:
        return kept
    # Revoked, or of another database or pepper.
    request = NewApiKey(name=f"run-{role.value}", role=role)
    issued = await create_api_key(keys, tenant_id, request, pepper=pepper, now=datetime.now(UTC))
    _keep(file, issued.text)
    return issued.text


def _file(secrets: Path, role: KeyRole) -> Path:
    return secrets / f"{DEMO_KEY}-{role.value}-key"


def _keep(path: Path, value: str) -> None:
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value)
    unfinished.replace(path)
