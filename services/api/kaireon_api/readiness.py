"""What must hold before this process takes work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec

from kaireon_application.errors import Unavailable

_PROBE_SECONDS = 2.0

# Raises when the dependency cannot be used.
Probe = Callable[[], Awaitable[object]]


class State(StrEnum):
    """How a dependency, or the process with all of them, is."""

    OK = "ok"
    DEGRADED = "degraded"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The process can do its work; `degraded` names what it does without."""

    status: State
    checks: dict[str, State]


class Readiness:
    """What must hold before this process takes work; probes are added while it is wired."""

    def __init__(self) -> None:
        self._required: dict[str, Probe] = {}
        self._optional: dict[str, Probe] = {}
        self._is_draining = False

    def require(self, name: str, probe: Probe) -> None:
        """Add a dependency without which the process is not ready."""
        self._required[name] = probe

    def prefer(self, name: str, probe: Probe) -> None:
        """Add a dependency without which the process is ready but degraded."""
        self._optional[name] = probe

    def drain(self) -> None:
        """Say from now on that no new work should come."""
        self._is_draining = True

    async def check(self) -> Ready:
        """Ask every dependency at once. Raises `Unavailable` with the names of those that are missing."""
        if self._is_draining:
            raise Unavailable("This process is draining")
        probes = {**self._required, **self._optional}
        answers = await asyncio.gather(*(_holds(probe) for probe in probes.values()))
        missing = [name for name, holds in zip(probes, answers, strict=True) if not holds]
        lacking = [name for name in missing if name in self._required]
        if lacking:
            raise Unavailable(f"Not ready: {', '.join(lacking)}")
        checks = {name: State.DEGRADED if name in missing else State.OK for name in probes}
        return Ready(status=State.DEGRADED if missing else State.OK, checks=checks)


async def _holds(probe: Probe) -> bool:
    task = asyncio.ensure_future(probe())
    done, _ = await asyncio.wait((task,), timeout=_PROBE_SECONDS)
    if not done:
        task.cancel()
        return False
    return task.exception() is None
