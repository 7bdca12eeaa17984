"""Waiting for what should take a moment, on a machine that may stall."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

# No test says how quick something is: it waits until it holds, and only what never comes takes this long. What must
# not come by itself, such as the end of a job, has to take longer.
PATIENCE_SECONDS = 90.0


async def eventually(probe: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Return what a function, asynchronous or not, returns once that is true. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        while True:
            found = probe()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)
