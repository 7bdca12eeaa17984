"""The times that a trigger has fired, and what became of each."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec


class TriggerFiring(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One firing; `id` is that of its job too, whose status, attempts, error and result it shows."""

    id: UUID
    customer_id: str
    event_id: str
    event_type: str
    action_type: str
    fired_at: datetime
    status: str | None
    attempts: int | None
    error: Any
    result: Any


class FiringPosition(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a page ended."""

    fired_at: datetime
    id: UUID


class FiringQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which firings of a trigger to list, newest first."""

    trigger_id: UUID
    limit: int
    after: FiringPosition | None = None
    customer_id: str | None = None


class FiringPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page; `has_more` tells whether another follows."""

    firings: list[TriggerFiring]
    total: int
    has_more: bool


class Firings(Protocol):
    """Reads firings. Raises `Unavailable` while Postgres cannot be reached."""

    async def page(self, tenant_id: UUID, query: FiringQuery) -> FiringPage:
        """Return one page."""
        ...
