"""Grouped runs: everyone gets their own result, in order, whatever happens to the others."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_application.errors import Unavailable
from kaireon_application.platform.grouped import Grouped
from kaireon_testkit.patience import PATIENCE_SECONDS

Item = tuple[str, str, int]
ITEMS = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from("xyz"), st.integers(0, 9)), max_size=40)


class Runs:
    """Runs groups of (partition, name, number), and remembers them."""

    def __init__(self, failing: int | None = None) -> None:
        self.groups: list[Sequence[Item]] = []
        self.running: defaultdict[str, int] = defaultdict(int)
        self.failing = failing

    async def __call__(self, items: Sequence[Item]) -> list[int]:
        self.groups.append(items)
        await asyncio.sleep(0)
        if any(number == self.failing for *_, number in items):
            raise ValueError(self.failing)
        return [number * 2 for *_, number in items]

    def grouped(self, **limits: int) -> Grouped[Item, int]:
        return Grouped(self, partition=lambda item: item[0], exclusive=lambda item: (item[1],), **limits)


@given(items=ITEMS, max_size=st.integers(1, 8), max_runs=st.integers(1, 3))
def test_every_caller_gets_their_own_result_and_groups_keep_the_rules(
    items: list[Item], max_size: int, max_runs: int
) -> None:
    runs = Runs()

    async def scenario() -> list[int]:
        grouped = runs.grouped(max_size=max_size, max_runs=max_runs)
        return await asyncio.gather(*(grouped(item) for item in items))

    assert asyncio.run(scenario()) == [number * 2 for *_, number in items]
    for group in runs.groups:
        assert 0 < len(group) <= max_size
        assert len({partition for partition, *_ in group}) == 1
        assert len({name for _, name, _ in group}) == len(group)
    assert sorted(item for group in runs.groups for item in group) == sorted(items)


@given(items=ITEMS)
def test_items_that_exclude_each_other_run_in_order(items: list[Item]) -> None:
    runs = Runs()

    async def scenario() -> None:
        grouped = runs.grouped()
        await asyncio.gather(*(grouped(item) for item in items))

    asyncio.run(scenario())
    for place in {item[:2] for item in items}:
        done = [item for group in runs.groups for item in group if item[:2] == place]
        assert done == [item for item in items if item[:2] == place]


@given(items=ITEMS)
def test_a_failure_is_that_of_the_item_that_causes_it(items: list[Item]) -> None:
    runs = Runs(failing=7)

    async def scenario() -> list[int | BaseException]:
        grouped = runs.grouped()
        return await asyncio.gather(*(grouped(item) for item in items), return_exceptions=True)

    for item, result in zip(items, asyncio.run(scenario()), strict=True):
        assert isinstance(result, ValueError) if item[2] == 7 else result == item[2] * 2


async def test_a_lone_item_does_not_wait_for_company() -> None:
    runs = Runs()

    assert await asyncio.wait_for(runs.grouped()(("A", "x", 1)), 1) == 2
    assert runs.groups == [[("A", "x", 1)]]


@given(pauses=st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=4), max_runs=st.integers(1, 2))
def test_nobody_is_forgotten_whenever_they_come(pauses: list[list[int]], max_runs: int) -> None:
    async def at_once(items: Sequence[Item]) -> list[int]:
        return [number for *_, number in items]

    async def caller(grouped: Grouped[Item, int], name: str, before: list[int]) -> list[int]:
        answers = list[int]()
        for number, steps in enumerate(before):
            for _ in range(steps):
                await asyncio.sleep(0)
            answers.append(await grouped(("A", name, number)))
        return answers

    async def scenario() -> list[list[int]]:
        grouped = Grouped(at_once, max_runs=max_runs)
        return await asyncio.gather(*(caller(grouped, str(name), before) for name, before in enumerate(pauses)))

    assert asyncio.run(scenario()) == [list(range(len(before))) for before in pauses]


async def test_runs_beside_each_other_share_the_callers_evenly() -> None:
    sizes = list[int]()

    async def slowly(items: Sequence[Item]) -> list[int]:
        sizes.append(len(items))
        for _ in range(20):
            await asyncio.sleep(0)
        return [number for *_, number in items]

    async def caller(grouped: Grouped[Item, int], name: str) -> None:
        for number in range(50):
            await grouped(("A", name, number))

    grouped = Grouped(slowly, max_runs=2)
    await asyncio.gather(*(caller(grouped, str(name)) for name in range(16)))

    settled = sizes[10:-10]
    assert settled == [8] * len(settled)


async def test_what_is_away_is_asked_once_for_all() -> None:
    calls: list[int] = []

    async def away(items: Sequence[Item]) -> list[int]:
        calls.append(len(items))
        await asyncio.sleep(0)
        raise Unavailable

    grouped = Grouped(away, max_runs=1)
    results = await asyncio.gather(*(grouped(("A", str(n), n)) for n in range(9)), return_exceptions=True)

    assert all(isinstance(result, Unavailable) for result in results)
    assert sum(calls) == 9


async def test_a_caller_who_gives_up_does_not_disturb_the_others() -> None:
    gate = asyncio.Event()

    async def slow(items: Sequence[Item]) -> list[int]:
        await gate.wait()
        return [number for *_, number in items]

    grouped = Grouped(slow, max_runs=1)
    waiting = [asyncio.create_task(grouped(("A", str(n), n))) for n in range(4)]
    await asyncio.sleep(0)
    for impatient in waiting[:3:2]:
        impatient.cancel()
    gate.set()

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [result for result in results if isinstance(result, int)] == [1, 3]
    assert await grouped(("A", "x", 9)) == 9


async def test_when_everybody_has_given_up_the_next_is_served() -> None:
    gate = asyncio.Event()

    async def slow(items: Sequence[Item]) -> list[int]:
        await gate.wait()
        return [number for *_, number in items]

    grouped = Grouped(slow, max_runs=2, max_size=2)
    waiting = [asyncio.create_task(grouped(("A", str(n), n))) for n in range(6)]
    for _ in range(3):
        await asyncio.sleep(0)  # two runs have begun, with two items each
    for impatient in waiting:
        impatient.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    gate.set()
    for _ in range(10):
        await asyncio.sleep(0)  # the runs end while nobody is left

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await grouped(("A", "x", 9)) == 9


@pytest.mark.parametrize("max_size", [1, 32])
async def test_a_group_forms_while_the_one_before_it_runs(max_size: int) -> None:
    runs = Runs()
    grouped = runs.grouped(max_runs=1, max_size=max_size)

    await asyncio.gather(*(grouped(("A", str(n), n)) for n in range(10)))

    assert len(runs.groups) == (10 if max_size == 1 else 1)
