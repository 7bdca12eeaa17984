"""Dead letters: events that no sink took and jobs that no worker could finish, in one list."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.errors import NotFound
from kaireon_application.platform.jobs import JobAnnouncer, JobSummons

_WARNING_COUNT = 11
_CRITICAL_COUNT = 101


class DeadLetterAction(StrEnum):
    """What may be done with dead letters."""

    RETRY = "retry"
    PURGE = "purge"


class DeadLetterAlert(StrEnum):
    """How bad it is: more than 10 is a warning, more than 100 is critical."""

    OK = "OK"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One dead letter; `topic` is the event's type, or the queue of a job."""

    id: UUID
    topic: str
    payload: Any
    error: str
    retry_count: int
    failed_at: datetime


class DeadLetterReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A tenant's dead letters: the newest ones, and counts over all that match."""

    total_events: int
    by_topic: dict[str, int]
    events: tuple[DeadLetter, ...]
    alert: DeadLetterAlert


class DeadLetterChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters are meant: these ids, and of this topic; None means any."""

    ids: tuple[UUID, ...] | None = None
    topic: str | None = None


class DeadLetterBox(Protocol):
    """A tenant's dead letters. Every method raises `Unavailable` while the store is down."""

    async def count_by_topic(self, tenant_id: UUID, choice: DeadLetterChoice) -> dict[str, int]:
        """Count the chosen dead letters, by topic."""
        ...

    async def list(self, tenant_id: UUID, choice: DeadLetterChoice, limit: int) -> tuple[DeadLetter, ...]:
        """Return the chosen dead letters, newest first."""
        ...

    async def missing(self, tenant_id: UUID, ids: tuple[UUID, ...]) -> frozenset[UUID]:
        """Return those ids that are no dead letter of this tenant."""
        ...

    async def requeue(self, tenant_id: UUID, choice: DeadLetterChoice) -> tuple[int, tuple[JobSummons, ...]]:
        """Make events pending and jobs queued again, under the same ids; return how many, and the jobs."""
        ...

    async def purge(self, tenant_id: UUID, choice: DeadLetterChoice) -> int:
        """Delete the chosen dead letters for good; return how many."""
        ...


async def report_dead_letters(
    box: DeadLetterBox, tenant_id: UUID, choice: DeadLetterChoice, limit: int
) -> DeadLetterReport:
    """Return the newest dead letters of a tenant and how many there are."""
    by_topic = await box.count_by_topic(tenant_id, choice)
    total_count = sum(by_topic.values())
    return DeadLetterReport(
        total_events=total_count,
        by_topic=by_topic,
        events=await box.list(tenant_id, choice, limit),
        alert=_alert(total_count),
    )


async def retry_dead_letters(
    box: DeadLetterBox, announcer: JobAnnouncer, tenant_id: UUID, choice: DeadLetterChoice
) -> int:
    """Give dead letters another life and return how many. Raises `NotFound` for an id that is no dead letter.

    A job whose dedupe key is in use by a live job stays where it is.
    """
    await _refuse_missing(box, tenant_id, choice)
    requeued_count, summons = await box.requeue(tenant_id, choice)
    for one in summons:
        # Jobs are requeued as not announced: what is not sent here, a worker finds by itself.
        if not await announcer.announce(one):
            break
    return requeued_count


async def purge_dead_letters(box: DeadLetterBox, tenant_id: UUID, choice: DeadLetterChoice) -> int:
    """Delete dead letters for good and return how many. Raises `NotFound` for an id that is no dead letter."""
    await _refuse_missing(box, tenant_id, choice)
    return await box.purge(tenant_id, choice)


async def _refuse_missing(box: DeadLetterBox, tenant_id: UUID, choice: DeadLetterChoice) -> None:
    if choice.ids is None:
        return
    missing = await box.missing(tenant_id, choice.ids)
    for index, one in enumerate(choice.ids):
        if one in missing:
            raise NotFound.reference(f"$.eventIds[{index}]", f"no dead letter {one} in this tenant")


def _alert(total_count: int) -> DeadLetterAlert:
    if total_count >= _CRITICAL_COUNT:
        return DeadLetterAlert.CRITICAL
    return DeadLetterAlert.WARNING if total_count >= _WARNING_COUNT else DeadLetterAlert.OK
