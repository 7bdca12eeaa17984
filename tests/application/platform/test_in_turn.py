"""Every tenant has its turn, whatever becomes of the others."""

from __future__ import annotations

from uuid import UUID

from kaireon_application.errors import TooSlow
from kaireon_application.platform.in_turn import in_turn

LITTLE, MUCH, BROKEN = (UUID(int=number) for number in (1, 2, 3))
SLICES = {LITTLE: 1, MUCH: 4, BROKEN: 2}


async def run(most: int) -> tuple[list[UUID], int, tuple[str, ...]]:
    """Work until so many slices were tried; return whose they were."""
    left, tried = dict(SLICES), list[UUID]()

    async def work(tenant_id: UUID) -> bool:
        tried.append(tenant_id)
        left[tenant_id] -= 1
        if tenant_id == BROKEN and not left[tenant_id]:
            raise TooSlow
        return left[tenant_id] > 0

    count, failures = await in_turn(list(SLICES), work, lambda: len(tried) >= most)
    return tried, count, failures


async def test_slices_are_done_in_turn_until_nobody_has_more() -> None:
    tried, count, failures = await run(100)

    assert tried == [LITTLE, MUCH, BROKEN, MUCH, BROKEN, MUCH, MUCH]
    assert count == 6
    assert failures == (f"tenant {BROKEN}: {TooSlow().message}",)


async def test_a_round_that_was_begun_is_ended_when_time_is_over() -> None:
    assert (await run(4))[0] == [LITTLE, MUCH, BROKEN, MUCH, BROKEN]
    assert (await run(0))[0] == []
