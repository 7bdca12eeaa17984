"""How engaged a customer is: one number from how lately, how often and how gladly they respond."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.errors import KaireonError

# So much of 100 at least.
_HEALTHY = 60
_COOLING = 30


class EngagementStatus(StrEnum):
    """What the number comes to; `unknown` before it was ever worked out."""

    HEALTHY = "healthy"
    COOLING = "cooling"
    DORMANT = "dormant"
    UNKNOWN = "unknown"


class StoredHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's health as it was last worked out; the score is of 100, its parts of 1."""

    customer_id: str
    score: float
    recency: float
    frequency: float
    positivity: float
    responses: int
    positive: int
    negative: int
    last_response_at: datetime | None
    computed_at: datetime


class EngagementHealth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The same as it is answered; null throughout for a customer who is not known."""

    customer_id: str
    status: EngagementStatus
    score: float | None = None
    recency: float | None = None
    frequency: float | None = None
    positivity: float | None = None
    responses: int | None = None
    positive: int | None = None
    negative: int | None = None
    last_response_at: datetime | None = None
    computed_at: datetime | None = None


class EngagementStore(Protocol):
    """Works health out where interactions are. Every method raises `Unavailable` while the storage is away."""

    async def tenants(self) -> Sequence[UUID]:
        """Return every tenant."""
        ...

    async def recompute(self, tenant_id: UUID, now: datetime) -> int:
        """Work out the health of all customers of a tenant, some thousand at a time; return how many."""
        ...

    async def get(self, tenant_id: UUID, customer_id: str) -> StoredHealth | None:
        """Return a customer's health."""
        ...


async def recompute_engagement(store: EngagementStore, now: datetime) -> tuple[int, tuple[str, ...]]:
    """Work out everybody's health; return how many customers, and which tenants failed, each on one line."""
    count, failures = 0, list[str]()
    for tenant_id in await store.tenants():
        try:
            count += await store.recompute(tenant_id, now)
        except KaireonError as error:
            failures.append(f"tenant {tenant_id}: {error.message}")
    return count, tuple(failures)


async def read_engagement(store: EngagementStore, tenant_id: UUID, customer_id: str) -> EngagementHealth:
    """Return a customer's health, `unknown` where there is none."""
    found = await store.get(tenant_id, customer_id)
    if found is None:
        return EngagementHealth(customer_id=customer_id, status=EngagementStatus.UNKNOWN)
    if found.score >= _HEALTHY:
        status = EngagementStatus.HEALTHY
    else:
        status = EngagementStatus.COOLING if found.score >= _COOLING else EngagementStatus.DORMANT
    return EngagementHealth(status=status, **msgspec.structs.asdict(found))
