"""A Pulsar topic as an event sink: keyed by customer, each message's receipt waited for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import pulsar as untyped_pulsar

from kaireon_application.platform.outbox import OutboxEvent, SinkUnavailable
from kaireon_outbox_publisher.sinks.envelope import headers_of, payload_of, trace_headers_of

pulsar: Any = untyped_pulsar

# Shorter than the time after which Postgres takes the lanes from a publisher that waits.
_CONNECT_MS = 3_000
_OPERATION_SECONDS = 5
_SEND_MS = 8_000
_GRACE_SECONDS = 1.0
_KEPT = {pulsar.Result.Ok}
# What Pulsar says of one message and of nothing else.
_REFUSALS = {pulsar.Result.MessageTooBig, pulsar.Result.InvalidMessage}


class PulsarSink:
    """`EventSink` that sends to one topic: partition key = customer, content = payload, the rest as properties."""

    def __init__(
        self, url: str, topic: str, *, token: str | None = None, ca_file: str | None = None, send_ms: int = _SEND_MS
    ) -> None:
        self._topic = topic
        self._send_ms = send_ms
        self._client = pulsar.Client(
            url,
            authentication=None if token is None else pulsar.AuthenticationToken(token),
            operation_timeout_seconds=_OPERATION_SECONDS,
            connection_timeout_ms=_CONNECT_MS,
            tls_trust_certs_file_path=ca_file,
            tls_validate_hostname=True,
            # Its faults come back as results; its own lines are in no format of ours.
            logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, "/dev/null"),
        )
        self._producer: Any = None

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        """Send every event and wait for each receipt."""
        return await asyncio.to_thread(self._publish, events)

    def _publish(self, events: Sequence[OutboxEvent]) -> list[str | None]:
        try:
            receipts = _Receipts(len(events))
            for number, event in enumerate(events):
                self._send(event, receipts, number)
            results = receipts.wait(self._send_ms / 1000 + _GRACE_SECONDS)
        except pulsar.PulsarException as error:
            self._give_up_producer()
            raise SinkUnavailable(f"Pulsar cannot be reached: {error}") from error
        fault = next((result for result in results if result not in _KEPT | _REFUSALS), None)
        if fault is not None:
            self._give_up_producer()
            kept = [event.id for event, result in zip(events, results, strict=True) if result in _KEPT]
            raise SinkUnavailable(f"Pulsar takes no events: {fault.name}", frozenset(kept))
        return [
            None if result == pulsar.Result.Ok else f"Pulsar refused the event: {result.name}" for result in results
        ]

    def _send(self, event: OutboxEvent, receipts: _Receipts, number: int) -> None:
        self._opened_producer().send_async(
            payload_of(event),
            partial(receipts.note, number),
            properties={**headers_of(event), **trace_headers_of(event)},
            partition_key=event.key,
            event_timestamp=int(event.created_at.timestamp() * 1000),
        )

    def _opened_producer(self) -> Any:
        if self._producer is None:
            self._producer = self._client.create_producer(
                self._topic,
                send_timeout_millis=self._send_ms,
                # Room for the largest claim; a full queue waits, where it would lose the message.
                max_pending_messages=10_000,
                block_if_queue_full=True,
                batching_enabled=True,
                batching_type=pulsar.BatchingType.KeyBased,
                batching_max_publish_delay_ms=1,
                compression_type=pulsar.CompressionType.ZSTD,
            )
        return self._producer

    def _give_up_producer(self) -> None:
        # Nothing may arrive after it has been given up here: its customer's next event would be overtaken.
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(pulsar.PulsarException):  # it is closed on our side
                producer.close()

    async def trim(self) -> int:
        """Keep everything: retention is the namespace's."""
        return 0

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.close)


class _Receipts:
    """The results of messages under way; they come in Pulsar's threads."""

    def __init__(self, count: int) -> None:
        self._results = [pulsar.Result.Timeout] * count
        self._missing = count
        self._changed = threading.Condition()

    def note(self, number: int, result: Any, _message_id: object) -> None:
        with self._changed:
            self._results[number] = result
            self._missing -= 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> list[Any]:
        deadline = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(lambda: self._missing <= 0, timeout=max(0.0, deadline - time.monotonic()))
            return list(self._results)
