"""A job that has lost its worker runs apart from the others, and keeps nobody waiting for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from kaireon_application.platform.probation import Probation
from kaireon_testkit.patience import PATIENCE_SECONDS

FOR_EVER = 1000.0
AT_ONCE = 0.01


class Place:
    """Somebody who wants a place, and keeps it until told to leave."""

    def __init__(self, probation: Probation, *, is_suspect: bool) -> None:
        self.has_begun = False
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._stay(probation, is_suspect=is_suspect))

    async def _stay(self, probation: Probation, *, is_suspect: bool) -> None:
        async with probation.place(is_suspect=is_suspect):
            self.has_begun = True
            await self._leave.wait()

    async def leave(self) -> None:
        self._leave.set()
        await self.task


async def asked(probation: Probation, *, is_suspect: bool = False) -> Place:
    """Return somebody who has asked, and has begun if that was possible at once."""
    place = Place(probation, is_suspect=is_suspect)
    await settled()
    return place


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_others_run_together() -> None:
    probation = Probation(FOR_EVER)
    places = [await asked(probation) for _ in range(3)]
    assert [place.has_begun for place in places] == [True] * 3
    assert not probation.is_empty
    for place in places:
        await place.leave()
    assert probation.is_empty


@pytest.mark.parametrize("is_suspect", [False, True])
async def test_nobody_begins_beside_a_suspect(is_suspect: bool) -> None:
    probation = Probation(FOR_EVER)
    suspect, other = await asked(probation, is_suspect=True), await asked(probation, is_suspect=is_suspect)
    assert (suspect.has_begun, other.has_begun) == (True, False)
    await suspect.leave()
    await settled()
    assert other.has_begun
    await other.leave()


async def test_a_suspect_begins_when_nothing_runs_any_more_and_nobody_overtakes_it() -> None:
    probation = Probation(FOR_EVER)
    first, suspect, later = await asked(probation), await asked(probation, is_suspect=True), await asked(probation)
    assert (first.has_begun, suspect.has_begun, later.has_begun) == (True, False, False)
    await first.leave()
    await settled()
    assert (suspect.has_begun, later.has_begun) == (True, False)
    await suspect.leave()
    await later.leave()


async def test_what_runs_for_long_holds_up_nobody() -> None:
    """Neither a suspect that has stood its time, nor what ran when a suspect came."""
    probation = Probation(AT_ONCE)
    places = [await asked(probation, is_suspect=is_suspect) for is_suspect in (False, True, True, False)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not all(place.has_begun for place in places):
            await asyncio.sleep(AT_ONCE)
    for place in places:
        await place.leave()
    assert probation.is_empty


async def test_who_gives_up_waiting_leaves_the_way_free() -> None:
    probation = Probation(FOR_EVER)
    first, suspect = await asked(probation), await asked(probation, is_suspect=True)
    suspect.task.cancel()
    with suppress(asyncio.CancelledError):
        await suspect.task
    later = await asked(probation)
    assert later.has_begun
    await first.leave()
    await later.leave()
