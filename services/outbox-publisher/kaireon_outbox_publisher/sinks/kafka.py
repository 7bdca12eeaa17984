"""Kafka, Redpanda and MSK as an event sink: acknowledged by all in-sync replicas, keyed by customer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from kaireon_application.platform.outbox import OutboxEvent, SinkUnavailable
from kaireon_outbox_publisher.sinks.envelope import headers_of, payload_of, trace_headers_of

# Shorter than the time after which Postgres takes the lanes from a publisher that waits.
_DELIVERY_MS = 8_000
_FLUSH_SECONDS = 9.0
_CLOSE_SECONDS = 2.0
# What the broker, or the client on its behalf, says of one record and of nothing else.
_REFUSALS = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
}
_PRODUCER: Mapping[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "delivery.timeout.ms": _DELIVERY_MS,
    "request.timeout.ms": 5_000,
    "socket.connection.setup.timeout.ms": 5_000,
    "reconnect.backoff.max.ms": 1_000,
    "socket.keepalive.enable": True,
    # Faults come back with the events; librdkafka's own lines are in no format of ours.
    "log_level": 2,
    # The partition that clients in Java choose for the same key.
    "partitioner": "murmur2_random",
}

Outcome = KafkaError | None


class KafkaSink:
    """`EventSink` that produces to one topic: key = customer, value = payload, headers id, type, tenantId, timestamp.

    `configuration` is librdkafka's. Raises `KafkaException` for one that it does not take.
    """

    def __init__(self, configuration: Mapping[str, Any], topic: str) -> None:
        self._configuration = {**_PRODUCER, **configuration}
        self._topic = topic
        self._producer: Producer | None = Producer(self._configuration)

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        """Produce every event and wait for each acknowledgement."""
        return await asyncio.to_thread(self._publish, events)

    def _publish(self, events: Sequence[OutboxEvent]) -> list[str | None]:
        outcomes = self._produce(events)
        for number, outcome in enumerate(outcomes):
            # A broker refuses a whole batch of records for one of them: only alone is an event to blame.
            if outcome is not None and outcome.code() in _REFUSALS and len(events) > 1:
                (outcomes[number],) = self._produce(events[number : number + 1])
        fault = next((error for error in outcomes if error is not None and error.code() not in _REFUSALS), None)
        if fault is not None:
            kept = frozenset(event.id for event, error in zip(events, outcomes, strict=True) if error is None)
            raise SinkUnavailable(f"Kafka takes no events: {fault.str()}", kept)
        return [None if error is None else f"Kafka refused the event: {error.str()}" for error in outcomes]

    def _produce(self, events: Sequence[OutboxEvent]) -> list[Outcome]:
        producer = self._producer = self._producer or Producer(self._configuration)
        outcomes: list[Outcome] = [KafkaError(KafkaError._TIMED_OUT)] * len(events)  # noqa: SLF001 - its name for it
        for number, event in enumerate(events):
            try:
                producer.produce(
                    self._topic,
                    value=payload_of(event),
                    key=event.key.encode(),
                    headers=list({**headers_of(event), **trace_headers_of(event)}.items()),
                    on_delivery=partial(_note, outcomes, number),
                )
            except BufferError as error:
                raise SinkUnavailable("Kafka takes no more events at the moment") from error
            except KafkaException as error:
                outcomes[number] = error.args[0]
        self._flush(producer)
        if any(error is not None and error.fatal() for error in outcomes):
            # This producer's sequence is broken for good; what it had not delivered is tried by the next one.
            self._producer = None
        return outcomes

    def _flush(self, producer: Producer) -> None:
        if producer.flush(_FLUSH_SECONDS) > 0:
            # Nothing may arrive after it has been given up here: its customer's next event would be overtaken.
            producer.purge()
            producer.flush(_CLOSE_SECONDS)

    async def trim(self) -> int:
        """Keep everything: the topic's own retention removes it."""
        return 0

    async def close(self) -> None:
        """Drop the connections; nothing is in flight between two calls of `publish`."""
        if self._producer is not None:
            await asyncio.to_thread(self._producer.flush, _CLOSE_SECONDS)
            self._producer = None


def _note(outcomes: list[Outcome], number: int, error: Outcome, _message: Message) -> None:
    outcomes[number] = error


def msk_token(region: str) -> Callable[[str], tuple[str, float]]:
    """Return librdkafka's callback for a token that is signed with the AWS credentials of this process."""
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 - an extra of its own

    def fetch(_configuration: str) -> tuple[str, float]:
        token, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
        return token, expires_ms / 1000

    return fetch
