"""One run of a scheduled job: alone, whoever else is about to start the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from kaireon_application.errors import Unavailable

_LEASE_SECONDS = 30.0
_HEARTBEAT_SECONDS = 5.0


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did, by name, and what of it failed; nothing when another run was under way."""

    counts: dict[str, int] = {}
    failures: tuple[str, ...] = ()
    is_skipped: bool = False


SKIPPED = JobOutcome(is_skipped=True)


class ScheduleLease(msgspec.Struct, frozen=True, kw_only=True):
    """The right of one run, known by its token, to be the only one of its job."""

    name: str
    token: UUID


class ScheduleLeases(Protocol):
    """Keeps the leases. Every method raises `Unavailable` while the store is down."""

    async def take(self, lease: ScheduleLease, seconds: float) -> bool:
        """Take the lease for so long; False when another run holds it."""
        ...

    async def renew(self, lease: ScheduleLease, seconds: float) -> bool:
        """Hold the lease for so long from now on; False when another run has taken it."""
        ...

    async def end(self, lease: ScheduleLease) -> None:
        """Give the lease up, if this run still has it."""
        ...


async def run_alone(leases: ScheduleLeases, name: str, work: Callable[[], Awaitable[JobOutcome]]) -> JobOutcome:
    """Do the work of a job under its lease, or return `SKIPPED` when another run holds it.

    Work whose lease is lost, because this process stood still or the store was away for longer than it holds, is
    cancelled and raises `Unavailable`.
    """
    lease = ScheduleLease(name=name, token=uuid4())
    if not await leases.take(lease, _LEASE_SECONDS):
        return SKIPPED
    running, held = asyncio.ensure_future(work()), asyncio.ensure_future(_hold(leases, lease))
    try:
        await asyncio.wait({running, held}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise Unavailable(f"the run of {name} lost its lease; another one may have begun")
        return running.result()
    finally:
        running.cancel()
        held.cancel()
        await asyncio.gather(running, held, return_exceptions=True)
        # Left alone it lapses by itself.
        with suppress(Unavailable):
            await leases.end(lease)


async def _hold(leases: ScheduleLeases, lease: ScheduleLease) -> None:
    """Renew a lease until it is lost."""
    clock = asyncio.get_running_loop().time
    renewed_at = clock()
    while clock() - renewed_at < _LEASE_SECONDS:
        await asyncio.sleep(_HEARTBEAT_SECONDS)
        with suppress(Unavailable):
            if not await leases.renew(lease, _LEASE_SECONDS):
                return
            renewed_at = clock()
