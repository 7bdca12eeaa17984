"""Calls that block, off the event loop: in a bounded number of threads, and never more of them than threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class BoundedThreads:
    """Who finds every thread busy waits in the event loop, where waiting can be given up."""

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)
        self._free = asyncio.Semaphore(count)

    async def run(self, call: Callable[[], T]) -> T:
        """Return what the call returns. One that is given up goes on in its thread, which is busy until it ends."""
        loop = asyncio.get_running_loop()
        await self._free.acquire()

        def release(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop has ended before the call
                loop.call_soon_threadsafe(self._free.release)

        running = self._pool.submit(call)
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        """Take no more calls; those that run are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
