"""One thing that a pack configures, as it would be sent to the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

import msgspec


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A thing of a kind; `wire` is the body of the call that creates it, without `key`, `name` and `status`."""

    kind: str
    key: str
    name: str
    wire: dict[str, Any]
    status: str = "active"


class Identities:
    """The ids of one tenant's copy of a pack: derived, so that seeding again finds what is there."""

    def __init__(self, tenant_id: UUID, pack: str) -> None:
        """Derive from the tenant's id too, so that no two tenants share one."""
        self.namespace = uuid5(tenant_id, pack)

    def of(self, kind: str, key: str) -> UUID:
        """Return the id of the thing with this kind and key."""
        return uuid5(self.namespace, f"{kind}/{key}")

    def text(self, kind: str, key: str) -> str:
        """Return the id as the wire writes it."""
        return str(self.of(kind, key))
