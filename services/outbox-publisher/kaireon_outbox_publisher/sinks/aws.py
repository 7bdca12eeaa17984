"""What Kinesis and EventBridge share: calls that carry many events, each answered for itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3 as untyped_boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kaireon_application.platform.outbox import OutboxEvent, SinkUnavailable

boto3: Any = untyped_boto3

# Shorter, all tries together, than the time after which Postgres takes the lanes from a publisher that waits.
_CONFIG = Config(connect_timeout=3, read_timeout=4, retries={"total_max_attempts": 1}, tcp_keepalive=True)
_PATIENCE_SECONDS = 10.0
_PAUSES_SECONDS = (0.1, 0.3, 0.9)
# Codes that are about the service or its load, in an answer for one event as for a whole call.
_PASSING = {
    "InternalFailure",
    "InternalException",
    "InternalServerError",
    "KMSThrottlingException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "Throttling",
}
# Codes of a whole call that one of its events can have caused.
_INVALID = {
    "InvalidArgumentException",
    "PutEventsRequestEntrySizeTooLarge",
    "RequestEntityTooLargeException",
    "SerializationException",
    "ValidationException",
    "413",
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event as the service takes it, and its size by the service's own count."""

    event: OutboxEvent
    fields: dict[str, Any]
    size_bytes: int


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the service takes at most: in one entry, and in one call."""

    entry_bytes: int
    call_bytes: int
    call_entries: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the service said of one entry; without a code it keeps it."""

    code: str | None = None
    message: str | None = None


def aws_client(service: str, region: str, endpoint_url: str | None) -> Any:
    """Return a client with bounded time and without retries of its own; credentials by AWS's usual chain."""
    return boto3.client(service, region_name=region, endpoint_url=endpoint_url, config=_CONFIG)


class AwsSink:
    """`EventSink` over a call that takes many entries. `call` returns one reply for each, in order."""

    def __init__(
        self,
        name: str,
        limits: CallLimits,
        encode: Callable[[OutboxEvent], Entry],
        call: Callable[[Sequence[dict[str, Any]]], Sequence[Reply]],
    ) -> None:
        self._name = name
        self._limits = limits
        self._encode = encode
        self._call = call

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        """Hand over every event; what the service throttles is handed over again, a few times."""
        return await asyncio.to_thread(self._publish, events)

    def _publish(self, events: Sequence[OutboxEvent]) -> list[str | None]:
        replies: dict[int, Reply] = {}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        waiting = dict(enumerate(self._encode(event) for event in events))
        for number, entry in list(waiting.items()):
            if entry.size_bytes > self._limits.entry_bytes:
                message = f"it has {entry.size_bytes} bytes, at most {self._limits.entry_bytes} are taken"
                replies[number] = Reply(code="TooLarge", message=message)
                del waiting[number]
        try:
            for pause_seconds in (*_PAUSES_SECONDS, 0.0):
                for batch in self._batches(waiting):
                    if time.monotonic() > deadline:
                        raise SinkUnavailable(f"{self._name} is too slow", _kept(events, replies))
                    replies.update(self._deliver({number: waiting[number] for number in batch}))
                waiting = {number: entry for number, entry in waiting.items() if _is_passing(replies[number])}
                if not waiting:
                    break
                time.sleep(pause_seconds)
        except (ClientError, BotoCoreError, OSError) as error:
            raise SinkUnavailable(f"{self._name} cannot be reached: {error}", _kept(events, replies)) from error
        if waiting:
            reply = replies[next(iter(waiting))]
            raise SinkUnavailable(f"{self._name} throttles: {reply.code}: {reply.message}", _kept(events, replies))
        return [self._verdict(replies[number]) for number in range(len(events))]

    def _batches(self, waiting: dict[int, Entry]) -> Iterator[list[int]]:
        batch: list[int] = []
        total_bytes = 0
        for number, entry in waiting.items():
            is_full = (
                len(batch) == self._limits.call_entries or total_bytes + entry.size_bytes > self._limits.call_bytes
            )
            if batch and is_full:
                yield batch
                batch, total_bytes = [], 0
            batch.append(number)
            total_bytes += entry.size_bytes
        if batch:
            yield batch

    def _deliver(self, batch: dict[int, Entry]) -> dict[int, Reply]:
        try:
            return dict(zip(batch, self._call([entry.fields for entry in batch.values()]), strict=True))
        except ClientError as error:
            code, message = _code_of(error), str(error)
            if code in _PASSING:
                return dict.fromkeys(batch, Reply(code=code, message=message))
            if code not in _INVALID:
                raise
            if len(batch) == 1:
                return dict.fromkeys(batch, Reply(code=code, message=message))
        # One of them makes the whole call invalid: each for itself.
        return {number: reply for one in batch.items() for number, reply in self._deliver(dict([one])).items()}

    def _verdict(self, reply: Reply) -> str | None:
        return None if reply.code is None else f"{self._name} refused the event: {reply.code}: {reply.message}"

    async def trim(self) -> int:
        """Keep everything: retention is the service's."""
        return 0

    async def close(self) -> None:
        """Nothing is held between two calls but pooled connections, which end with the process."""


def _code_of(error: ClientError) -> str:
    response: Any = error.response
    return str(response.get("Error", {}).get("Code", ""))


def _is_passing(reply: Reply) -> bool:
    return reply.code in _PASSING


def _kept(events: Sequence[OutboxEvent], replies: dict[int, Reply]) -> frozenset[Any]:
    return frozenset(events[number].id for number, reply in replies.items() if reply.code is None)
