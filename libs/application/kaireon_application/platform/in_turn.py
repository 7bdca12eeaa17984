"""Work on every tenant in slices, a slice of each in turn: nobody waits until the first one's years are done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from kaireon_application.errors import KaireonError


async def in_turn(
    tenant_ids: Sequence[UUID], work: Callable[[UUID], Awaitable[bool]], is_over: Callable[[], bool]
) -> tuple[int, tuple[str, ...]]:
    """Do slices until nobody has more or it is over; return how many, and which tenants failed, each on one line.

    `work` does a tenant's next slice and returns whether there may be more; what is left is for the next time.
    """
    slice_count, failures, left = 0, list[str](), list(tenant_ids)
    while left and not is_over():
        unfinished = list[UUID]()
        for tenant_id in left:
            try:
                if await work(tenant_id):
                    unfinished.append(tenant_id)
            except KaireonError as error:
                failures.append(f"tenant {tenant_id}: {error.message}")
            else:
                slice_count += 1
        left = unfinished
    return slice_count, tuple(failures)
