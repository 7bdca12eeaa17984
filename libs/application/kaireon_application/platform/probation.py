"""Who runs beside whom in one process: a job that has lost its worker runs alone at first, all others together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, suppress


class Probation:
    """Lets a suspect run apart from everything else in the process for its first seconds.

    A worker is lost with all the jobs that it ran, and nobody knows which of them ended it. Taken up together, they
    would end together again, until the tries of the innocent are used up too.
    """

    def __init__(self, seconds: float) -> None:
        """Keep suspects apart for so long, and let them wait for what runs at most so long."""
        self._seconds = seconds
        self._running_count = 0
        self._emptied = asyncio.Event()
        # Whoever begins passes it; a suspect holds it while it is apart.
        self._turnstile = asyncio.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs."""
        return self._running_count == 0

    @asynccontextmanager
    async def place(self, *, is_suspect: bool) -> AsyncGenerator[None]:
        """Wait for a place in the process and keep it."""
        await self._turnstile.acquire()
        with ExitStack() as turn:
            turn.callback(self._turnstile.release)
            if is_suspect:
                await self._wait_until_empty()
                asyncio.get_running_loop().call_later(self._seconds, turn.close)
            else:
                turn.close()
            self._running_count += 1
            self._emptied.clear()
            try:
                yield
            finally:
                self._running_count -= 1
                if self.is_empty:
                    self._emptied.set()

    async def _wait_until_empty(self) -> None:
        if not self.is_empty:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), self._seconds)
