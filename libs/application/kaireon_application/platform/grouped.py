"""Doing for many callers at once what one call can do for many: grouped loads and grouped commits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kaireon_application.errors import Unavailable
from kaireon_runtime.origin import Origin, all_of, origin, work_for

# A caller that has waited this long is told to come again: 503 is promised within five seconds.
PATIENCE_SECONDS = 4.3

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]
    origin: Origin


class Grouped(Generic[Item, Result]):
    """Collects the items of concurrent callers and runs them together; each caller gets its own result.

    A lone item is run at once; a group is what has arrived while the runs before it were busy. A run takes its share of
    all callers, and starts beside another only with a full one: so the runs are of one size and take turns. `partition`
    says which items may share a run; two items may not when `exclusive` names something in both. When a run fails with
    an exception its members are run one by one, so that nobody fails for another's fault; `Unavailable` is everybody's.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        partition: Callable[[Item], Hashable] = lambda _item: None,
        exclusive: Callable[[Item], Collection[Hashable]] = lambda _item: (),
        max_size: int = 32,
        max_runs: int = 1,
    ) -> None:
        """Run at most `max_runs` groups of at most `max_size` items at once."""
        self._run = run
        self._partition = partition
        self._exclusive = exclusive
        self._max_size = max_size
        self._max_runs = max_runs
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._runs: set[asyncio.Task[None] | None] = set()
        self._callers = 0

    async def __call__(self, item: Item) -> Result:
        """Return the result of this item. Raises what running it alone raises, `Unavailable` when it takes too long."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append(_Waiting(item, future, origin()))
        self._callers += 1
        if not self._runs or (len(self._runs) < self._max_runs and self._is_share_full()):
            self._runs.add(asyncio.create_task(self._drain()))
        patience = loop.call_later(PATIENCE_SECONDS, _settle, future, Unavailable("this takes too long now; try again"))
        try:
            return await future
        finally:
            patience.cancel()
            self._callers -= 1

    def _share(self) -> int:
        """Return how many items a run takes: one at least, for a run must also clear away those who have given up."""
        return max(1, min(self._max_size, -(-self._callers // self._max_runs)))

    def _is_share_full(self) -> bool:
        return len(self._waiting) >= self._share()

    async def _drain(self) -> None:
        try:
            # The last run never leaves anybody behind.
            while self._waiting and (len(self._runs) == 1 or self._is_share_full()):
                group = self._take()
                if group:
                    await self._run_group(group)
        finally:
            # At once, not by a callback: a caller that comes before the callback would find a run that takes nobody.
            self._runs.remove(asyncio.current_task())

    def _take(self) -> list[_Waiting[Item, Result]]:
        """Take the oldest item and those behind it that may run with it; the others keep their order."""
        partition = self._partition(self._waiting[0].item)
        taken, left = list[_Waiting[Item, Result]](), list[_Waiting[Item, Result]]()
        seen = set[Hashable]()
        share = self._share()
        while self._waiting and len(taken) < share:
            waiting = self._waiting.popleft()
            if waiting.future.done():
                continue  # its caller has given up
            mine = self._exclusive(waiting.item)
            is_welcome = self._partition(waiting.item) == partition and seen.isdisjoint(mine)
            # What is left behind holds its place: nothing that it excludes may overtake it.
            seen.update(mine)
            (taken if is_welcome else left).append(waiting)
        self._waiting.extendleft(reversed(left))
        return taken

    async def _run_group(self, group: list[_Waiting[Item, Result]]) -> None:
        work_for(all_of(waiting.origin for waiting in group))
        try:
            results = await self._run([waiting.item for waiting in group])
        except Unavailable as error:
            # What is away is away for each of them: asking again, one by one, would only take longer.
            for waiting in group:
                _settle(waiting.future, error)
            return
        except Exception as error:  # noqa: BLE001 - handed to the callers, never swallowed
            if len(group) == 1:
                _settle(group[0].future, error)
                return
            for waiting in group:
                if not waiting.future.done():
                    await self._run_group([waiting])
            return
        for waiting, result in zip(group, results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(result)


def _settle(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
