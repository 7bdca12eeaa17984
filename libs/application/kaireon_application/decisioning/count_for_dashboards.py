"""Keep the counts that dashboards show, so that nobody counts millions of rows when somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias
from uuid import UUID

from kaireon_application.platform.in_turn import in_turn

# An instant before which nothing is written any more, and by what storage knows who was writing when that was said.
Horizon: TypeAlias = tuple[datetime, str]

_WAIT_SECONDS = 0.05
_MOST_WAITS = 100
# What is left over is counted by the next tick.
_BUDGET_SECONDS = 30.0


class DashboardCounts(Protocol):
    """Counts what was decided and answered, each row once. Every method raises `Unavailable` while storage is away."""

    async def horizon(self) -> Horizon:
        """Return an instant before which rows are written by now, or by who is writing, or marked as late."""
        ...

    async def is_settled(self, horizon: Horizon) -> bool:
        """Return whether who was writing then has ended."""
        ...

    async def count(self, tenant_id: UUID, horizon: Horizon) -> bool:
        """Count a tenant's next rows up to a settled horizon, some 100,000; return whether there may be more."""
        ...


async def count_for_dashboards(
    counts: DashboardCounts, tenant_ids: Sequence[UUID], clock: Callable[[], float]
) -> tuple[int, tuple[str, ...]]:
    """Count what is new of every tenant; return how many slices, and which tenants failed, each on one line.

    `clock` tells seconds. Nothing is counted while somebody takes long to write: the next tick does it.
    """
    horizon, end = await counts.horizon(), clock() + _BUDGET_SECONDS
    for _ in range(_MOST_WAITS):
        if await counts.is_settled(horizon):
            break
        await asyncio.sleep(_WAIT_SECONDS)
    else:
        return 0, ()
    return await in_turn(tenant_ids, lambda tenant_id: counts.count(tenant_id, horizon), lambda: clock() >= end)
