"""Remove what has had its time, and prepare the storage of the months to come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from kaireon_application.errors import KaireonError
from kaireon_application.platform.data_class import DataClass

DEFAULT_RETENTION_DAYS = 365
PARTITIONED = (DataClass.INTERACTIONS, DataClass.DECISIONS)

_SHORT_LIVED = timedelta(hours=24)
_SNAPSHOT_GRACE = timedelta(days=30)
_MONTHS_AHEAD = timedelta(days=92)

Counts: TypeAlias = dict[str, int]
_T = TypeVar("_T")


class TenantRetention(msgspec.Struct, frozen=True, kw_only=True):
    """For how many days a tenant keeps each class; None: for ever."""

    tenant_id: UUID
    days: Mapping[DataClass, int | None]

    def before(self, data_class: DataClass, now: datetime) -> datetime | None:
        """Return the instant before which a class goes, None when it stays."""
        days = self.days[data_class]
        return None if days is None else now - timedelta(days=days)


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

    async def drop_partitions(self, data_class: DataClass, before: datetime) -> int:
        """Drop the partitions of a class whose rows are all older than `before`; return how many."""
        ...

    async def delete_class(self, tenant_id: UUID, data_class: DataClass, before: datetime) -> Counts:
        """Delete what a tenant has of a class from before that instant."""
        ...

    async def delete_snapshots(self, tenant_id: UUID, before: datetime) -> Counts:
        """Delete a tenant's snapshots and legends from before that instant that no trace refers to."""
        ...

    async def delete_expired(self, now: datetime, short_lived_before: datetime) -> Counts:
        """Delete suppressions and assignments that ended before `now`, unless their tenant's interactions are on hold.

        Idempotency keys and sent events from before the other instant go in any case.
        """
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
    for data_class in PARTITIONED if tenants else ():
        instants = [tenant.before(data_class, now) for tenant in tenants]
        # What one tenant keeps for ever keeps everybody's partitions; the others' rows then go by themselves.
        if None not in instants:
            oldest = min(instant for instant in instants if instant is not None)
            await run.count("partitionsDropped", lambda c=data_class, o=oldest: retention.drop_partitions(c, o))
    for tenant in tenants:
        await run.add(f"tenant {tenant.tenant_id}", lambda tenant=tenant: _forget(retention, tenant, now))
    await run.add("expired", lambda: retention.delete_expired(now, now - _SHORT_LIVED))
    return CleanupReport(counts=run.counts, failures=tuple(run.failures))


async def _forget(retention: Retention, tenant: TenantRetention, now: datetime) -> Counts:
    counts: Counts = {}
    for data_class in DataClass:
        before = tenant.before(data_class, now)
        if before is not None:
            counts |= await retention.delete_class(tenant.tenant_id, data_class, before)
    decisions = tenant.before(DataClass.DECISIONS, now)
    if decisions is not None:
        counts |= await retention.delete_snapshots(tenant.tenant_id, min(decisions, now - _SNAPSHOT_GRACE))
    return counts


class _Run:
    """One run: what has been counted and what has failed."""

    def __init__(self) -> None:
        self.counts: Counts = {}
        self.failures: list[str] = []

    async def count(self, name: str, action: Callable[[], Awaitable[int]]) -> None:
        """Run a step that returns one count."""
        self.counts[name] = self.counts.get(name, 0) + (await self._attempt(name, action) or 0)

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
