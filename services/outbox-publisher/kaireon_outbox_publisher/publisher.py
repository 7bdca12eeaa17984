"""The loop of the tier: relay until told to stop, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from kaireon_application.errors import Unavailable
from kaireon_application.platform.event_schemas import EVENT_SCHEMAS
from kaireon_application.platform.outbox import EventSink, Outbox, OutboxEvent, SinkUnavailable
from kaireon_application.platform.outbox_relay import RelayOutbox, RelayReport
from kaireon_runtime import catalogue
from kaireon_runtime.health import Pulse
from kaireon_runtime.logs import Logger
from kaireon_runtime.metrics import Metrics

_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 2.0
_HOUSEKEEPING_SECONDS = 10.0
_GATHER_SECONDS = 0.05
_UNKNOWN = "unknown"

# What passes by itself: the server is away, or another transaction was in the way.
_TRANSIENT = (Unavailable, SinkUnavailable, psycopg.OperationalError, OSError)


class Publisher:
    """Relays claim after claim; sleeps while nothing waits, until a hint, a retry or the poll interval.

    While there is a backlog all `relays` work at once, each on a claim of its own: one talks to Postgres while another
    talks to the bus. Otherwise the first does.
    """

    def __init__(
        self,
        relays: Sequence[RelayOutbox],
        poll_seconds: float,
        wake: asyncio.Event,
        pulse: Pulse,
        metrics: Metrics,
        log: Logger,
    ) -> None:
        self._relays = relays
        self._has_backlog = False
        self._poll_seconds = poll_seconds
        self._wake = wake
        self._pulse = pulse
        self._metrics = metrics
        self._log = log
        self._backoff_seconds = _FIRST_BACKOFF_SECONDS
        # From zero: Prometheus sees no increase in a series that begins with one.
        for type_ in (*EVENT_SCHEMAS, _UNKNOWN):
            for metric in (catalogue.OUTBOX_RELAYED, catalogue.OUTBOX_FAILURES, catalogue.OUTBOX_DEAD_LETTERS):
                metrics.add(metric, type_, amount=0)

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; the claim in hand is finished first."""
        while not stop.is_set():
            self._wake.clear()
            working = self._relays if self._has_backlog else self._relays[:1]
            outcomes = await asyncio.gather(*(relay.relay() for relay in working), return_exceptions=True)
            reports = [outcome for outcome in outcomes if isinstance(outcome, RelayReport)]
            self._has_backlog = any(report.has_more for report in reports)
            for report in reports:
                self._count(report)
            fault = next((outcome for outcome in outcomes if not isinstance(outcome, RelayReport)), None)
            if fault is not None:
                await self._back_off(fault, stop)
            else:
                self._note_success()
                await self._rest(reports, stop)

    async def _rest(self, reports: Sequence[RelayReport], stop: asyncio.Event) -> None:
        if not any(report.has_progressed for report in reports):
            retries = [report.retry_in_seconds for report in reports if report.retry_in_seconds]
            await first_of(stop, self._wake, timeout_seconds=min([self._poll_seconds, *retries]))
        elif not self._has_backlog:
            # Under load this gathers what comes next into one claim, instead of one claim per event.
            await first_of(stop, timeout_seconds=_GATHER_SECONDS)

    def _note_success(self) -> None:
        self._backoff_seconds = _FIRST_BACKOFF_SECONDS
        self._pulse.beat(has_succeeded=True)
        self._metrics.set(catalogue.OUTBOX_SINK_UP, 1)

    async def _back_off(self, error: BaseException, stop: asyncio.Event) -> None:
        is_transient = isinstance(error, _TRANSIENT)
        self._pulse.beat(has_succeeded=False)
        self._log.warning(
            "outbox-publisher tick failed", isTransient=is_transient, error=str(error), exc_info=not is_transient
        )
        if isinstance(error, SinkUnavailable):
            self._metrics.set(catalogue.OUTBOX_SINK_UP, 0)
        if not is_transient:
            self._metrics.add(catalogue.UNEXPECTED_ERRORS, "outbox-publisher")
        # Hints are not waited for: they say nothing about the fault.
        await first_of(stop, timeout_seconds=self._backoff_seconds)
        self._backoff_seconds = min(2 * self._backoff_seconds, _LONGEST_BACKOFF_SECONDS)

    def _count(self, report: RelayReport) -> None:
        for event in report.settlement.sent:
            self._metrics.add(catalogue.OUTBOX_RELAYED, _type_label(event))
        for refusal in report.settlement.refused:
            self._metrics.add(catalogue.OUTBOX_FAILURES, _type_label(refusal.event))
        for refusal in report.settlement.dead:
            self._metrics.add(catalogue.OUTBOX_DEAD_LETTERS, _type_label(refusal.event))
            self._log.error(
                "outbox event moved to the dead letters", eventId=str(refusal.event.id), reason=refusal.reason
            )


async def keep_house(outbox: Outbox, sink: EventSink, metrics: Metrics, log: Logger) -> None:
    """Measure the backlog, free lanes that a stopped publisher holds, and trim the bus, for ever."""
    while True:
        try:
            if ended := await outbox.end_stuck_claims():
                log.warning("claims ended whose publisher no longer moves", claims=ended)
            backlog = await outbox.backlog()
            metrics.set(catalogue.OUTBOX_PENDING, backlog.events)
            metrics.set(catalogue.OUTBOX_LAG, _age_seconds(backlog.oldest_at))
            if deleted := await sink.trim():
                log.info("event stream trimmed", entries=deleted)
        except _TRANSIENT as error:
            log.debug("outbox-publisher housekeeping failed", error=str(error))
        await asyncio.sleep(_HOUSEKEEPING_SECONDS)


async def first_of(*events: asyncio.Event, timeout_seconds: float) -> None:
    """Return when one of the events is set, or after the time."""
    waiters = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiters, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()


def _age_seconds(oldest_at: datetime | None) -> float:
    return 0.0 if oldest_at is None else max(0.0, (datetime.now(UTC) - oldest_at).total_seconds())


def _type_label(event: OutboxEvent) -> str:
    # Anyone may insert a row: a made-up type must not become a label of its own.
    return event.type if event.type in EVENT_SCHEMAS else _UNKNOWN
