"""Relay outbox events to the sink: at least once, in commit order per customer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias
from uuid import UUID

import msgspec

from kaireon_application.platform.outbox import (
    Claim,
    ClaimLimits,
    EventSink,
    Outbox,
    OutboxEvent,
    Refusal,
    Settlement,
    SinkUnavailable,
)
from kaireon_application.platform.outbox_faults import fault_of

Queues: TypeAlias = dict[tuple[UUID, str], deque[OutboxEvent]]

_FIRST_RETRY_SECONDS = 0.2


class RelayLimits(msgspec.Struct, frozen=True, kw_only=True):
    """`max_tries` counts refusals of one event alone; after `batch_seconds` a claim hands over nothing more."""

    claim: ClaimLimits = ClaimLimits()
    max_tries: int = 5
    batch_seconds: float = 1.0


class RelayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one claim came to.

    `has_more`: the claim was full; `retry_in_seconds`: when a refused event may be tried again, None without one.
    """

    settlement: Settlement
    has_more: bool
    retry_in_seconds: float | None

    @property
    def has_progressed(self) -> bool:
        """Whether an event left the outbox, so that more may follow at once."""
        return bool(self.settlement.sent or self.settlement.dead)


class RelayOutbox:
    """Moves claimed events to the sink in waves of at most one event per key.

    The next event of a key leaves only after the sink has acknowledged the one before: a repeat after a crash or a
    refusal can therefore never overtake. A key whose event was refused or set aside waits for the next claim.
    """

    def __init__(self, outbox: Outbox, sink: EventSink, limits: RelayLimits, monotonic: Callable[[], float]) -> None:
        self._outbox = outbox
        self._sink = sink
        self._limits = limits
        self._monotonic = monotonic
        self._retry_at: dict[UUID, float] = {}
        self._is_cautious = False

    async def relay(self) -> RelayReport:
        """Relay one claim. Raises `SinkUnavailable` or `Unavailable`; what the sink acknowledged before is recorded."""
        async with self._outbox.claim(self._limits.claim) as claim:
            batch = _Batch(claim.events, self._limits.claim.event_bytes)
            interruption = await self._hand_over(batch)
            await self._settle(claim, batch)
        if interruption is not None:
            raise interruption
        return RelayReport(settlement=batch.settlement(), has_more=claim.has_more, retry_in_seconds=self._next_retry())

    async def _hand_over(self, batch: _Batch) -> SinkUnavailable | None:
        deadline = self._monotonic() + self._limits.batch_seconds
        while self._monotonic() < deadline and (wave := batch.next_wave(self._must_wait)):
            # After a fault one event at a time: one that breaks the connection must not hide among the others.
            interruption = await self._publish(batch, wave[:1] if self._is_cautious else wave)
            self._is_cautious = interruption is not None
            if interruption is not None:
                return interruption
        return None

    async def _publish(self, batch: _Batch, wave: Sequence[OutboxEvent]) -> SinkUnavailable | None:
        try:
            outcomes = await self._sink.publish(wave)
        except SinkUnavailable as error:
            for event in wave:
                if event.id in error.kept:
                    batch.accept(event)
            return error
        for event, reason in zip(wave, outcomes, strict=True):
            self._note(batch, event, reason)
        return None

    async def _settle(self, claim: Claim, batch: _Batch) -> None:
        settlement = batch.settlement()
        if settlement != Settlement():
            await claim.settle(settlement)

    def _note(self, batch: _Batch, event: OutboxEvent, reason: str | None) -> None:
        self._retry_at.pop(event.id, None)
        if reason is None:
            batch.accept(event)
        elif event.attempts + 1 >= self._limits.max_tries:
            batch.bury(event, reason)
        else:
            self._retry_at[event.id] = self._monotonic() + _FIRST_RETRY_SECONDS * 2**event.attempts
            batch.refuse(event, reason)

    def _must_wait(self, event: OutboxEvent) -> bool:
        return self._retry_at.get(event.id, 0.0) > self._monotonic()

    def _next_retry(self) -> float | None:
        now = self._monotonic()
        # Those that are due are claimed again soon, by this process or another: nothing is lost with the entry.
        self._retry_at = {event_id: at for event_id, at in self._retry_at.items() if at > now}
        return min(self._retry_at.values()) - now if self._retry_at else None


class _Batch:
    """The events of one claim, queued per key, and what has become of them so far."""

    def __init__(self, events: Sequence[OutboxEvent], max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._queues: Queues = {}
        for event in events:
            self._queues.setdefault((event.tenant_id, event.key), deque()).append(event)
        self._sent: list[OutboxEvent] = []
        self._refused: list[Refusal] = []
        self._dead: list[Refusal] = []

    def next_wave(self, must_wait: Callable[[OutboxEvent], bool]) -> list[OutboxEvent]:
        """Return the first event of every key that may go on, after burying those that no sink could take."""
        wave: list[OutboxEvent] = []
        for key, queue in list(self._queues.items()):
            # A key whose event is buried goes on only when the dead letters are committed: with the next claim.
            if self._bury_unfit(queue) or must_wait(queue[0]):
                del self._queues[key]
            else:
                wave.append(queue[0])
        return wave

    def _bury_unfit(self, queue: deque[OutboxEvent]) -> bool:
        buried = False
        for event in queue:
            reason = fault_of(event, self._max_bytes)
            if reason is None:
                break
            self._dead.append(Refusal(event=event, reason=reason))
            buried = True
        return buried

    def accept(self, event: OutboxEvent) -> None:
        """Count the event as sent; the next one of its key may follow."""
        self._sent.append(event)
        key = (event.tenant_id, event.key)
        queue = self._queues[key]
        queue.popleft()
        if not queue:
            del self._queues[key]

    def refuse(self, event: OutboxEvent, reason: str) -> None:
        """Count a try that failed; its key waits."""
        self._refused.append(Refusal(event=event, reason=reason))
        del self._queues[event.tenant_id, event.key]

    def bury(self, event: OutboxEvent, reason: str) -> None:
        """Give the event up; its key waits until that is committed."""
        self._dead.append(Refusal(event=event, reason=reason))
        del self._queues[event.tenant_id, event.key]

    def settlement(self) -> Settlement:
        """Return what has become of the events so far."""
        return Settlement(sent=tuple(self._sent), refused=tuple(self._refused), dead=tuple(self._dead))
