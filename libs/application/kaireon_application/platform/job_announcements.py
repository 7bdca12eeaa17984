"""Tells the broker about jobs whose message was never sent, got lost, or whose worker died."""

from __future__ import annotations

from typing import Protocol

import msgspec

from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import JobAnnouncer, JobSummons

# Above this many waiting messages a queue is being worked off: repeating old messages would only feed it.
_BUSY_BACKLOG_COUNT = 50


class AnnouncementTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How often a process looks for such jobs, and when a message counts as lost, in seconds."""

    interval_seconds: float = 2.0
    # A queued job that was announced this long ago is announced again, unless its queue is busy.
    queued_again_seconds: float = 10.0
    # A lapsed lease is announced again at this interval, whatever the queue.
    lapsed_again_seconds: float = 10.0
    batch_count: int = 200


class DueJobs(Protocol):
    """Jobs that somebody should look at. Every method raises `Unavailable` while the store is down."""

    async def take_due(self, busy_queues: tuple[str, ...], terms: AnnouncementTerms) -> tuple[JobSummons, ...]:
        """Mark due jobs as announced now and return them; in a busy queue only the never announced and the lapsed."""
        ...

    async def forget_announcement(self, summons: tuple[JobSummons, ...]) -> None:
        """Make jobs look unannounced, because their messages could not be sent."""
        ...

    async def bury_unknown_queues(self, known_queues: tuple[str, ...]) -> int:
        """Move jobs of queues that nobody consumes to the dead-letter list; return how many."""
        ...


async def announce_due_jobs(due: DueJobs, announcer: JobAnnouncer, terms: AnnouncementTerms) -> int:
    """Send a message for each job that is due and seems forgotten; return how many were sent.

    Any number of processes may do this at once. Raises `Unavailable` while the store is down.
    """
    await due.bury_unknown_queues(tuple(queue.value for queue in Queue))
    busy: list[str] = []
    for queue in Queue:
        backlog_count = await announcer.backlog_count(queue)
        if backlog_count is None:
            return 0
        if backlog_count >= _BUSY_BACKLOG_COUNT:
            busy.append(queue.value)
    summons = await due.take_due(tuple(busy), terms)
    unsent = tuple([one for one in summons if not await announcer.announce(one)])
    if unsent:
        await due.forget_announcement(unsent)
    return len(summons) - len(unsent)
