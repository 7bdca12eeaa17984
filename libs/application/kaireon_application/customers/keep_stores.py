"""Writing interactions to the stores beside Postgres: at once where that is quick, and again until they have them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from kaireon_application.customers.interaction_store import InteractionRecord, InteractionStore, StoreRefusal
from kaireon_application.customers.store_marks import Mark, StoreMarks
from kaireon_application.decisioning.changes import InteractionRow, ResponseChange
from kaireon_application.errors import KaireonError, Unavailable
from kaireon_application.platform.grouped import Grouped
from kaireon_runtime.catalogue import INTERACTION_STORE_WRITES
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics

# By the name of their backend.
Stores: TypeAlias = Mapping[str, InteractionStore]

_GROUP = 25
_GROUPS = 8
# After a failure the store is left to the repairer for so long: nobody else waits for its time-out.
_PAUSE_SECONDS = 5.0
_SWEEP_SECONDS = 0.2
_CLAIM = 500
_WRITE_SECONDS = 15.0
_SLOW = "an interaction store takes too long to write"


class StoreResponses:
    """Writes what a response has committed to every store before it is answered, unless that takes too long.

    What is not written here keeps its mark, and `RepairStores` writes it.
    """

    def __init__(
        self,
        stores: Stores,
        marks: StoreMarks,
        metrics: Metrics,
        *,
        timeout_seconds: float,
        retention_days: int | None,
        monotonic: Callable[[], float],
    ) -> None:
        """Take the stores, and for how long an answer may wait for them."""
        self._stores = stores
        self._marks = marks
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds
        self._retention_days = retention_days
        self._monotonic = monotonic
        self._write = Grouped[InteractionRecord, None](self._write_group, max_size=_GROUP, max_runs=_GROUPS)
        self._resume_at = 0.0
        self._done = list[Mark]()
        self._sweeping: asyncio.Task[None] | None = None

    async def __call__(self, change: ResponseChange) -> None:
        """Write one response; never raises for the stores' faults."""
        if self._monotonic() < self._resume_at:
            self._count("deferred", 1)
            return
        record = record_of(change.tenant_id, change.customer_id, change.interaction, self._retention_days)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._write(record)
        except (KaireonError, TimeoutError) as error:
            self._defer(error)
            return
        self._done.append(Mark(tenant_id=record.tenant_id, customer_id=record.customer_id, id=record.id))
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep())

    async def drain(self) -> None:
        """Wait until the marks of what was written are deleted."""
        if self._sweeping is not None:
            await self._sweeping

    def _defer(self, error: Exception) -> None:
        # What is refused is refused alone; a store that is away is away for everybody.
        if not isinstance(error, StoreRefusal):
            self._resume_at = self._monotonic() + _PAUSE_SECONDS
        self._count("deferred", 1)
        logger("kaireon.interaction-store").warning("an interaction is left to the repairer", reason=str(error))

    async def _write_group(self, records: Sequence[InteractionRecord]) -> Sequence[None]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await write_everywhere(self._stores, records)
        except TimeoutError:
            raise Unavailable(_SLOW) from None
        self._count("written", len(records))
        return [None] * len(records)

    def _count(self, outcome: str, times: int) -> None:
        for backend in self._stores:
            self._metrics.add(INTERACTION_STORE_WRITES, backend, outcome, amount=times)

    async def _sweep(self) -> None:
        """Delete the marks of what is written, many at once; one that stays is only written again."""
        while self._done:
            await asyncio.sleep(_SWEEP_SECONDS)
            done, self._done = self._done, []
            with suppress(Unavailable):
                await self._marks.forget(done)


class RepairReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one claim came to; `has_more`: it was full, so that others may wait."""

    written: int
    refused: int
    has_more: bool


class RepairStores:
    """Writes what is marked and due to every store, then deletes the marks."""

    def __init__(self, stores: Stores, marks: StoreMarks, metrics: Metrics, *, retention_days: int | None) -> None:
        """Take the stores."""
        self._stores = stores
        self._marks = marks
        self._metrics = metrics
        self._retention_days = retention_days

    async def __call__(self) -> RepairReport:
        """Repair one claim. Raises `Unavailable` when a store or Postgres is away; then the marks stay."""
        async with self._marks.claim(_CLAIM) as claim:
            found = [(mark, self._record(mark)) for mark in claim.marks]
            refused = await self._write([(mark, record) for mark, record in found if record is not None])
            refused_ids = {mark.id for mark, _ in refused}
            done = [mark for mark, _ in found if mark.id not in refused_ids]
            if found:
                await claim.settle(done, refused)
        for backend in self._stores:
            self._metrics.add(INTERACTION_STORE_WRITES, backend, "repaired", amount=len(done))
            self._metrics.add(INTERACTION_STORE_WRITES, backend, "refused", amount=len(refused))
        return RepairReport(written=len(done), refused=len(refused), has_more=len(found) == _CLAIM)

    def _record(self, mark: Mark) -> InteractionRecord | None:
        record = mark.record
        return None if record is None else msgspec.structs.replace(record, retention_days=self._retention_days)

    async def _write(self, found: Sequence[tuple[Mark, InteractionRecord]]) -> list[tuple[Mark, str]]:
        """Write all of them at once; where one is refused, each for itself. Return those that are refused."""
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                try:
                    await write_everywhere(self._stores, [record for _, record in found])
                except StoreRefusal:
                    return await self._write_each(found)
        except TimeoutError:
            raise Unavailable(_SLOW) from None
        return []

    async def _write_each(self, found: Sequence[tuple[Mark, InteractionRecord]]) -> list[tuple[Mark, str]]:
        refused = list[tuple[Mark, str]]()
        for mark, record in found:
            try:
                await write_everywhere(self._stores, [record])
            except StoreRefusal as error:
                refused.append((mark, error.message))
                logger("kaireon.interaction-store").error(
                    "an interaction store refuses an interaction", interactionId=str(mark.id), reason=error.message
                )
        return refused


async def write_everywhere(stores: Stores, records: Sequence[InteractionRecord]) -> None:
    """Write to every store. Raises what one of them raises, once all of them are done."""
    if not records:
        return
    outcomes = await asyncio.gather(*(store.write(records) for store in stores.values()), return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    # A store that is away matters more than one that refuses: nothing is to be postponed for its sake.
    for failure in sorted(failures, key=lambda one: isinstance(one, StoreRefusal)):
        raise failure


def record_of(tenant_id: str, customer_id: str, row: InteractionRow, retention_days: int | None) -> InteractionRecord:
    """Return the row of a commit as a record."""

    def id_or_none(text: str | None) -> UUID | None:
        return None if text is None else UUID(text)

    details: dict[str, Any] | None = None if row.details is None else msgspec.json.decode(row.details)
    return InteractionRecord(
        tenant_id=UUID(tenant_id),
        customer_id=customer_id,
        occurred_at=datetime.fromtimestamp(row.occurred_at_ms / 1000, UTC),
        id=UUID(row.id),
        kind=row.kind,
        outcome_key=row.outcome_key,
        classification=row.classification,
        direction=row.direction,
        offer_id=id_or_none(row.offer_id),
        creative_id=id_or_none(row.creative_id),
        channel_id=id_or_none(row.channel_id),
        placement_id=id_or_none(row.placement_id),
        recommendation_id=id_or_none(row.recommendation_id),
        rank=row.rank,
        score=row.score,
        conversion_value=row.conversion_value,
        details=details,
        retention_days=retention_days,
    )
