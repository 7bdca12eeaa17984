"""Who calls: from the API key of a request to a principal, in microseconds, and never for longer than a key holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import msgspec

from kaireon_api.operation import Principal, Role
from kaireon_application.errors import Forbidden, KaireonError, Unauthorized, Unavailable
from kaireon_application.platform.api_key import hash_api_key
from kaireon_application.platform.auth import Credential, CredentialStore
from kaireon_runtime.logs import logger

# A revocation must hold everywhere within a second of its commit: what was read at instant t is believed until
# t + 0.9 s, and read again well before that, so that requests do not wait for it.
_BELIEVED_SECONDS = 0.9
_REFRESH_SECONDS = 0.4
# With Postgres gone nobody can be let in: say so before the caller's own patience ends.
_PATIENCE_SECONDS = 4.0

_LADDER: Mapping[Role, int] = {Role.VIEWER: 1, Role.EDITOR: 2, Role.ADMIN: 3}
_MAX_KEY_LENGTH = 256


class _Known(msgspec.Struct, frozen=True):
    """A key that held at `read_at` (monotonic seconds)."""

    principal: Principal
    tenant_names: frozenset[str]
    is_restricted: bool
    read_at: float


class Authenticator:
    """Knows the keys in use; `run` keeps that knowledge fresh, and without it each request asks the store."""

    def __init__(self, store: CredentialStore, pepper: str) -> None:
        self._store = store
        self._pepper = pepper
        self._known: dict[bytes, _Known] = {}
        self._used: set[bytes] = set()
        self._lookups: dict[bytes, asyncio.Task[_Known | None]] = {}

    async def principal(self, headers: Mapping[str, str]) -> Principal:
        """Return who sent these headers.

        Raises `Unauthorized` without a key that holds, `Forbidden` for another tenant's `X-Tenant-Id` or a key that
        is restricted to other uses, `Unavailable` when nobody can say.
        """
        key_hash = hash_api_key(self._pepper, _key_in(headers))
        known = self._known.get(key_hash)
        if known is None or known.read_at + _BELIEVED_SECONDS < time.monotonic():
            known = await self._look_up(key_hash)
        self._used.add(key_hash)
        tenant = headers.get("x-tenant-id")
        if tenant and tenant not in known.tenant_names and tenant.lower() not in known.tenant_names:
            raise Forbidden("X-Tenant-Id names another tenant than the API key; leave it out")
        if known.is_restricted:
            raise Forbidden("This API key is restricted to its scopes")
        return known.principal

    async def run(self) -> None:
        """Read the keys in use again and again, until cancelled; the others are forgotten."""
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                await self._refresh()
            except KaireonError as error:
                # Nothing else to do: what is known lapses by itself and every request is refused.
                logger("kaireon.api").warning("API keys cannot be read", reason=error.message)

    async def _refresh(self) -> None:
        used, self._used = self._used, set()
        if not used:
            self._known = {}
            return
        read_at = time.monotonic()
        found = await self._store.find(used)
        self._known = {key_hash: _known(credential, read_at) for key_hash, credential in found.items()}

    async def _look_up(self, key_hash: bytes) -> _Known:
        """Ask the store, once for all requests that wait for the same key."""
        task = self._lookups.get(key_hash)
        if task is None:
            task = asyncio.create_task(self._read(key_hash))
            self._lookups[key_hash] = task
            task.add_done_callback(lambda done: self._forget_lookup(key_hash, done))
        done, _ = await asyncio.wait((task,), timeout=_PATIENCE_SECONDS)
        if not done:
            raise Unavailable("Postgres does not answer; try again")
        known = task.result()
        if known is None:
            raise Unauthorized("This API key is unknown, expired or revoked")
        return known

    async def _read(self, key_hash: bytes) -> _Known | None:
        read_at = time.monotonic()
        credential = (await self._store.find((key_hash,))).get(key_hash)
        if credential is None:
            self._known.pop(key_hash, None)
            return None
        known = _known(credential, read_at)
        self._known[key_hash] = known
        return known

    def _forget_lookup(self, key_hash: bytes, task: asyncio.Task[_Known | None]) -> None:
        del self._lookups[key_hash]
        if not task.cancelled():
            task.exception()  # whoever waited has seen it


def require_role(principal: Principal, role: Role) -> None:
    """Raise `Forbidden` unless the principal's role includes this one."""
    if _LADDER[principal.role] < _LADDER[role]:
        raise Forbidden(f"This call needs the role {role}; this API key has the role {principal.role}")


def _known(credential: Credential, read_at: float) -> _Known:
    return _Known(
        principal=Principal(
            tenant_id=credential.tenant_id,
            tenant_key=credential.tenant_key,
            key_id=credential.key_id,
            key_name=credential.key_name,
            role=Role(credential.role.value),
        ),
        tenant_names=frozenset((credential.tenant_key, str(credential.tenant_id))),
        is_restricted=credential.is_restricted,
        read_at=read_at,
    )


def _key_in(headers: Mapping[str, str]) -> str:
    key = bearer(headers) or headers.get("x-api-key") or ""
    if not key.startswith("krn_") or len(key) > _MAX_KEY_LENGTH:
        raise Unauthorized
    return key


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return what a caller sends as `Authorization: Bearer ...`."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None
