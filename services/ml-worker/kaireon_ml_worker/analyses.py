"""Analyses over HTTP: for the worker tier, when it has more rows than it looks at itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kaireon_application.learning.analysis import Analysis, AnalysisPlan, Analyst
from kaireon_ml_worker.training import TrainingAbandoned

CAPABILITIES = ("policy_analysis", "segmentation", "content_analysis")

_POLL_SECONDS = 0.2


class Analyses:
    """Works analyses out, a bounded number at a time, and stops when nobody waits any more."""

    def __init__(self, analyst: Analyst, *, at_once: int) -> None:
        """Have this analyst do the work."""
        self._analyst = analyst
        self._slots = asyncio.Semaphore(at_once)

    async def analyze(self, plan: AnalysisPlan, is_abandoned: Callable[[], Awaitable[bool]]) -> Analysis:
        """Return the answer. Raises what the analyst raises, and `TrainingAbandoned`."""
        async with self._slots:
            work = asyncio.ensure_future(self._analyst.analyze(plan))
            try:
                while not (await asyncio.wait({work}, timeout=_POLL_SECONDS))[0]:
                    if await is_abandoned():
                        raise TrainingAbandoned
                return work.result()
            finally:
                work.cancel()
                await asyncio.wait({work})
