"""API keys: issued once, stored as a hash, revoked for good."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Protocol
from uuid import UUID, uuid4

import msgspec
from msgspec import Meta

from kaireon_application.errors import Forbidden, InvalidInput, NotFound
from kaireon_application.governance.actor import SYSTEM, Actor

_PREFIX = "krn_"
_SECRET_BYTES = 32
_SHOWN_CHARACTERS = 12


class KeyRole(StrEnum):
    """What a key may do; a later role includes the earlier ones."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: KeyRole) -> bool:
        """Return whether a holder of this role may do what `other` may."""
        ladder = tuple(KeyRole)
        return ladder.index(self) >= ladder.index(other)


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is stored: everything but the key itself."""

    id: UUID
    name: str
    role: KeyRole
    prefix: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A key asked for; without `scopes` it may do all that its role may."""

    name: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    role: KeyRole = KeyRole.VIEWER
    expires_at: datetime | None = None
    scopes: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=16)] = ()


class IssuedApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A new key, together with the only copy of its text."""

    record: ApiKey
    text: str


class ApiKeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Keys, newest first; `total` counts all pages."""

    keys: tuple[ApiKey, ...]
    total: int
    has_more: bool


class ApiKeyStore(Protocol):
    """Keeps the keys of all tenants. Every method may raise `Unavailable`."""

    async def add(self, tenant_id: UUID, key: ApiKey, key_hash: bytes, actor: Actor) -> None:
        """Store a new key, and note in the audit log who issued it."""
        ...

    async def page(self, tenant_id: UUID, *, limit: int, after: UUID | None) -> ApiKeyPage:
        """Return the keys that are not revoked, from the one after `after` on."""
        ...

    async def revoke(self, tenant_id: UUID, key_id: UUID, reason: str | None, actor: Actor) -> bool:
        """Revoke a key and note who did; return False when this tenant has no such key that still holds."""
        ...


def hash_api_key(pepper: str, text: str) -> bytes:
    """Return what is stored of a key: HMAC-SHA256 under the pepper, 32 bytes."""
    return hmac.digest(pepper.encode(), text.encode(), hashlib.sha256)


def issue_api_key(request: NewApiKey, *, now: datetime) -> IssuedApiKey:
    """Draw a key; it holds once `ApiKeyStore.add` has stored it."""
    text = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    record = ApiKey(
        id=uuid4(),
        name=request.name or f"key-{int(now.timestamp() * 1000)}",
        role=request.role,
        prefix=text[:_SHOWN_CHARACTERS],
        scopes=request.scopes,
        expires_at=_future(request.expires_at, now),
        last_used_at=None,
        created_at=now,
    )
    return IssuedApiKey(record=record, text=text)


async def create_api_key(
    store: ApiKeyStore,
    tenant_id: UUID,
    request: NewApiKey,
    *,
    pepper: str,
    now: datetime,
    granted_by: KeyRole = KeyRole.ADMIN,
    actor: Actor = SYSTEM,
) -> IssuedApiKey:
    """Issue and store a key. Raises `Forbidden` when it would be above the role of who asks for it."""
    if not granted_by.includes(request.role):
        raise Forbidden(f"A key of role {granted_by} cannot create one of role {request.role}")
    issued = issue_api_key(request, now=now)
    await store.add(tenant_id, issued.record, hash_api_key(pepper, issued.text), actor)
    return issued


async def revoke_api_key(store: ApiKeyStore, tenant_id: UUID, key_id: str, reason: str | None, *, actor: Actor) -> None:
    """End a key: every process refuses it within a second. Raises `NotFound`."""
    if not await store.revoke(tenant_id, _known_form(key_id), reason, actor):
        raise NotFound(f"There is no API key {key_id} in this tenant")


def _future(expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is None:
        return None
    aware = expires_at if expires_at.tzinfo is not None else expires_at.replace(tzinfo=UTC)
    if aware <= now:
        raise InvalidInput.at("$.expiresAt", "must lie in the future")
    return aware.astimezone(UTC)


def _known_form(key_id: str) -> UUID:
    try:
        return UUID(key_id)
    except ValueError:
        raise NotFound(f"There is no API key {key_id} in this tenant") from None
