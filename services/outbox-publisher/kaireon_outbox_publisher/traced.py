"""The relay in traces: a span for each event whose request was traced, and for the claim that it was in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from msgspec.structs import replace

from kaireon_application.platform.outbox import EventSink, OutboxEvent
from kaireon_runtime.tracing import Tracing


class TracedSink:
    """`EventSink` before another one; what that one is given names the span of its sending as its trace."""

    def __init__(self, sink: EventSink, bus: str, tracing: Tracing) -> None:
        self._sink = sink
        self._bus = bus
        self._tracing = tracing

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        """Hand over every event within its span."""
        with ExitStack() as spans:
            bus = {"messaging.system": self._bus, "messaging.batch.message_count": len(events)}
            spans.enter_context(self._tracing.span("outbox send", "internal", None, bus))
            traced = [event if event.traceparent is None else self._begun(event, spans) for event in events]
            return await self._sink.publish(traced)

    def _begun(self, event: OutboxEvent, spans: ExitStack) -> OutboxEvent:
        names = {
            "messaging.system": self._bus,
            "messaging.message.id": str(event.id),
            "kaireon.event_type": event.type,
            "kaireon.tenant_id": str(event.tenant_id),
            "kaireon.attempt": event.attempts + 1,
        }
        trace = spans.enter_context(self._tracing.span("send event", "producer", event.traceparent, names))
        return event if trace is None else replace(event, traceparent=trace.traceparent)

    async def trim(self) -> int:
        """Trim the other one."""
        return await self._sink.trim()

    async def close(self) -> None:
        """Close the other one."""
        await self._sink.close()
