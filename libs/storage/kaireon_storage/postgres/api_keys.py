"""API keys and the credentials that they are, in Postgres."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec

from kaireon_application.governance.actor import Actor
from kaireon_application.platform.api_key import ApiKey, ApiKeyPage
from kaireon_application.platform.api_key_entries import issue_entries, revocation_entries
from kaireon_application.platform.auth import Credential
from kaireon_storage.postgres.audit_logs import AuditAppender
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries


class PostgresApiKeys:
    """`ApiKeyStore` and `CredentialStore` on one database."""

    def __init__(self, database: Database) -> None:
        """Take an opened database."""
        self._database = database
        self._sql = queries("api_keys")

    async def add(self, tenant_id: UUID, key: ApiKey, key_hash: bytes, actor: Actor) -> None:
        """Store a new key, and note in the audit log who issued it."""
        async with self._database.transaction(tenant_id) as connection:
            await self._sql.add_api_key(connection, tenant_id=tenant_id, key_hash=key_hash, **columns(key))
            await AuditAppender(connection, tenant_id, actor).append(issue_entries(key))

    async def page(self, tenant_id: UUID, *, limit: int, after: UUID | None) -> ApiKeyPage:
        """Return the keys that are not revoked, from the one after `after` on."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.page_api_keys(connection, tenant_id=tenant_id, limit=limit + 1, after=after)
            keys = [msgspec.convert(row, ApiKey) async for row in rows]
            counted = await self._sql.count_api_keys(connection, tenant_id=tenant_id)
        return ApiKeyPage(keys=tuple(keys[:limit]), total=counted["total"], has_more=len(keys) > limit)

    async def revoke(self, tenant_id: UUID, key_id: UUID, reason: str | None, actor: Actor) -> bool:
        """Revoke a key, and note in the audit log who did; return False when no such key holds."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.revoke_api_key(connection, tenant_id=tenant_id, id=key_id, reason=reason)
            if row is None:
                return False
            entries = revocation_entries(msgspec.convert(row, ApiKey), reason)
            await AuditAppender(connection, tenant_id, actor).append(entries)
        return True

    async def find(self, key_hashes: Collection[bytes]) -> Mapping[bytes, Credential]:
        """Return those of the hashes whose keys hold, and note that they were used."""
        hashes = list(key_hashes)
        async with self._database.system_transaction() as connection:
            found = [row async for row in self._sql.find_credentials(connection, key_hashes=hashes)]
            await self._sql.note_use(connection, key_hashes=hashes)
        return {row["key_hash"]: msgspec.convert(row, Credential) for row in found}


def columns(key: ApiKey) -> dict[str, object]:
    """Return a new key's columns."""
    return {
        "id": key.id,
        "name": key.name,
        "role": str(key.role),
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "expires_at": key.expires_at,
        "created_at": key.created_at,
    }
