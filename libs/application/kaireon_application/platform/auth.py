"""Who a key stands for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.platform.api_key import KeyRole


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A key that holds now, and its tenant; a restricted one (with scopes) may call nothing of this API."""

    key_id: UUID
    key_hash: bytes
    key_name: str
    role: KeyRole
    is_restricted: bool
    tenant_id: UUID
    tenant_key: str


class CredentialStore(Protocol):
    """Knows which keys hold. May raise `Unavailable`: then nobody is let in."""

    async def find(self, key_hashes: Collection[bytes]) -> Mapping[bytes, Credential]:
        """Return those of the hashes whose keys are neither revoked nor expired, and note that they were used."""
        ...
