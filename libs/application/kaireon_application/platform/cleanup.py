"""Remove what has had its time, and prepare the storage of the months to come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from kaireon_application.errors import KaireonError

DEFAULT_RETENTION_DAYS = 365

_SHORT_LIVED = timedelta(hours=24)
_SNAPSHOT_GRACE = timedelta(days=30)
_MONTHS_AHEAD = timedelta(days=92)

Counts: TypeAlias = dict[str, int]
_T = TypeVar("_T")


class TenantRetention(msgspec.Struct, frozen=True, kw_only=True):
    """How many days a tenant keeps its interactions, traces, daily summaries and batch runs."""

    tenant_id: UUID
    days: int = DEFAULT_RETENTION_DAYS


class Retention(Protocol):
    """What the clean-up does to storage; every method may be called again after a crash in the middle of it.

    Each raises `KaireonError` when it fails, with what it had removed before gone for good.
    """

    async def tenants(self) -> Sequence[TenantRetention]:
        """Return every tenant with its retention."""
        ...

    async def ensure_partitions(self, first_at: datetime, last_at: datetime) -> int:
        """Create the monthly partitions that are missing between two instants; return how many."""
        ...

    async def drop_partitions(self, before: datetime) -> int:
        """Drop the partitions whose rows are all older than `before`; return how many."""
        ...

    async def delete_history(self, tenant_id: UUID, before: datetime, snapshots_before: datetime) -> Counts:
        """Delete a tenant's interactions, traces, daily summaries and batch runs from before `before`.

        Snapshots and legends older than `snapshots_before` go too when no trace of the tenant can refer to them.
        """
        ...

    async def delete_expired(self, now: datetime, short_lived_before: datetime) -> Counts:
        """Delete suppressions that ended before `now`, and idempotency keys and sent events from before the other."""
        ...


class CleanupReport(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each were removed or created, and what failed: one line per step."""

    counts: Counts
    failures: tuple[str, ...]


async def clean_up(retention: Retention, now: datetime) -> CleanupReport:
    """Run every step; one that fails does not keep the others from running.

    Raises `KaireonError` when not even the tenants can be read.
    """
    tenants = await retention.tenants()
    run = _Run()
    await run.count("partitionsCreated", lambda: retention.ensure_partitions(now, now + _MONTHS_AHEAD))
    if tenants:
        longest = timedelta(days=max(tenant.days for tenant in tenants))
        await run.count("partitionsDropped", lambda: retention.drop_partitions(now - longest))
    for tenant in tenants:
        await run.add(f"tenant {tenant.tenant_id}", lambda tenant=tenant: _forget(retention, tenant, now))
    await run.add("expired", lambda: retention.delete_expired(now, now - _SHORT_LIVED))
    return CleanupReport(counts=run.counts, failures=tuple(run.failures))


async def _forget(retention: Retention, tenant: TenantRetention, now: datetime) -> Counts:
    period = timedelta(days=tenant.days)
    return await retention.delete_history(tenant.tenant_id, now - period, now - max(period, _SNAPSHOT_GRACE))


class _Run:
    """One run: what has been counted and what has failed."""

    def __init__(self) -> None:
        self.counts: Counts = {}
        self.failures: list[str] = []

    async def count(self, name: str, action: Callable[[], Awaitable[int]]) -> None:
        """Run a step that returns one count."""
        self.counts[name] = await self._attempt(name, action) or 0

    async def add(self, name: str, action: Callable[[], Awaitable[Counts]]) -> None:
        """Run a step that returns several counts; they add to those of other steps."""
        for what, count in (await self._attempt(name, action) or {}).items():
            self.counts[what] = self.counts.get(what, 0) + count

    async def _attempt(self, name: str, action: Callable[[], Awaitable[_T]]) -> _T | None:
        try:
            return await action()
        except KaireonError as error:
            self.failures.append(f"{name}: {error.message}")
            return None
