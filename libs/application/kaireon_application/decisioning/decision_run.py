"""A batch run: the decisions of a list of customers, made by the workers, each exactly once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.decisioning.changes import DecisionChange
from kaireon_application.decisioning.decide_list import DecideCustomer, DecideRequest
from kaireon_application.decisioning.run_terms import RunTerms
from kaireon_application.errors import KaireonError
from kaireon_application.platform.job import JobRun

JOB_TYPE = "decide_run"
# An attempt of this type helps whoever runs the job; no job has it.
HELP_TYPE = "help_run"
# So many customers are stored, and at most so many are decided, together.
CHUNK_SIZE = 500


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has to know of a run: what is asked for each customer, and how many they are."""

    request: DecideRequest
    total: int
    terms: RunTerms = RunTerms()


class RunStand(msgspec.Struct, frozen=True, kw_only=True):
    """How many customers of a run are decided, by whomever, and whether that is all of them."""

    processed: int
    is_complete: bool


class PlacedCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer of a run; `place` is theirs in the list, from 0."""

    place: int
    customer: DecideCustomer


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one customer as it is downloaded: JSON on one line."""

    place: int
    line: bytes


class RunPart(msgspec.Struct, frozen=True, kw_only=True):
    """What is committed together: `lines[i]` is kept if and only if `changes[i]` is; `refusals` are kept anyway.

    All are of one chunk.
    """

    changes: Sequence[DecisionChange] = ()
    lines: Sequence[RunLine] = ()
    refusals: Sequence[RunLine] = ()


class RunCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has decided; (id, count) of offers and channels, the most frequent first."""

    processed: int
    failed: int
    with_recommendations: int
    recommendations: int
    offers: Sequence[tuple[str, int]]
    channels: Sequence[tuple[str, int]]


class OfferCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How often an offer was recommended; `percentage` is of all recommendations."""

    offer_id: str
    offer_key: str | None
    offer_name: str | None
    count: int
    percentage: float


class ChannelCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How often something was recommended for a channel; `percentage` is of all recommendations."""

    channel_id: str
    channel_key: str | None
    channel_name: str | None
    count: int
    percentage: float


class RunSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a run has decided; both breakdowns begin with the most frequent."""

    customers_processed: int
    customers_failed: int
    customers_with_recommendations: int
    total_recommendations: int
    average_offers_per_customer: float
    by_offer: list[OfferCount]
    by_channel: list[ChannelCount]


class PartRefused(KaireonError):
    """The store refused the rows of these customers; nothing of them was written."""


class ChunkTaken(KaireonError):
    """Another worker has taken the chunk; nothing of this part was written."""


# Commits a part in one transaction, under the lease of the attempt, and returns for each change whether it was written:
# False when its customer had moved on. Raises `CapTaken` when another decision has left too little of a system-wide
# cap, `Busy`, `ChunkTaken`, `LeaseLost`, `PartRefused`, `Unavailable`; then nothing was written.
CommitPart = Callable[[RunPart], Awaitable[Sequence[bool]]]


class RunWork(Protocol):
    """What everyone does who decides a part of a run. Every method raises `Unavailable` while the store is down."""

    async def open(self, run: JobRun) -> RunPlan | None:
        """Return what there is to do, None when there is no such run. Raises `LeaseLost`.

        The members of a segment are read and stored first, once. Raises `NotFound` or `Conflict` where it is gone.
        """
        ...

    async def claim(self, run: JobRun) -> list[PlacedCustomer] | None:
        """Take the next chunk, and return its customers that have no result yet, in order; None when none is free."""
        ...

    async def stand(self, run: JobRun) -> RunStand:
        """Return how far the run is."""
        ...

    def committing(self, run: JobRun) -> CommitPart:
        """Return how to commit parts of this run."""
        ...

    def holding(self, run: JobRun, customer_id: str) -> AbstractAsyncContextManager[CommitPart]:
        """Hold a customer's row: until the block ends only the commit that it yields can raise their version."""
        ...


class RunProgress(RunWork, Protocol):
    """What else its leader does, who runs the job of the run. Every method raises `Unavailable` too."""

    async def counted(self, run: JobRun) -> RunCounts:
        """Return what has been decided so far."""
        ...

    async def dismiss(self, run: JobRun) -> None:
        """End all helping: once this has returned, only the leader writes. Raises `Busy`, `LeaseLost`."""
        ...

    async def finish(self, run: JobRun, summarise: Callable[[RunCounts], RunSummary]) -> RunSummary:
        """Count what was decided, and keep and return the summary of it. Raises `LeaseLost`."""
        ...


class RunOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Which definition a run is of; `due_at` is the instant of its schedule, None when somebody triggered it."""

    definition_id: UUID
    due_at: datetime | None


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be stored with its job: each chunk is JSON of `CHUNK_SIZE` customers, the last of what is left.

    That of a segment has no `total` and no chunks yet.
    """

    id: UUID
    request: DecideRequest
    total: int | None
    chunks: Sequence[bytes]
    terms: RunTerms = RunTerms()
    origin: RunOrigin | None = None
