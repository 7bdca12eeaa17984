"""Waiting on a machine that has much else to do: until something holds, and for minutes if need be."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 600


async def eventually(probe: Callable[[], Any]) -> None:
    """Return once a function, asynchronous or not, returns something true. Raises `TimeoutError`."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = probe()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.05)
