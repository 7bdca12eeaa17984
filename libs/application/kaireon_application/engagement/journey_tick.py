"""The tick of journeys: whoever's turn has come gets a job; whoever's journey is gone is over."""

from __future__ import annotations

from typing import Protocol

# Enough for a backlog; what is left over is found by the next tick.
_MOST_ROUNDS = 20


class JourneyTick(Protocol):
    """Looks after all enrolments. Every method raises `Unavailable` while Postgres cannot be reached."""

    async def end_gone(self) -> int:
        """End the enrolments of journeys that were archived or deleted; return how many."""
        ...

    async def queue_due(self) -> int:
        """Queue jobs for some of the enrolments whose turn has come, the longest due first; return how many."""
        ...


async def tick_journeys(tick: JourneyTick) -> dict[str, int]:
    """Return what was done, by name. Any number of processes may do this at once."""
    ended, queued = await tick.end_gone(), 0
    for _ in range(_MOST_ROUNDS):
        found = await tick.queue_due()
        queued += found
        if not found:
            break
    return {"dueEnrollments": queued, "endedEnrollments": ended}
