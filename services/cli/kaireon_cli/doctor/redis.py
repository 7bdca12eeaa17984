"""Redis, Celery's broker, and the bus where that is a Redis stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kaireon_cli.doctor.check import Check, Finding, fail, ok
from kaireon_cli.doctor.clock import compare
from kaireon_cli.doctor.settings import DoctorSettings
from kaireon_runtime.brokers import Publisher
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.redis.connection import connect

_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisChecks:
    """The checks that ask Redis. `now` is this machine's clock, in seconds since 1970."""

    settings: DoctorSettings
    now: Callable[[], float]

    def all(self) -> Sequence[Check]:
        """Return them in the order in which they are told."""
        start = "start Redis, and see that REDIS_URL names it; meanwhile decisions are made from Postgres alone"
        broker = "start the broker, and see that CELERY_BROKER_URL (else REDIS_URL) names it; until then workers poll"
        return (
            Check(name="redis", look=self.connection, next=start),
            Check(name="clock.redis", look=self.clock, next=start),
            Check(name="broker", look=self.broker, next=broker),
        )

    def stream(self) -> Check:
        """Return the check of the event stream."""
        return Check(name="event-bus", look=self.event_stream, next="start Redis: events wait in the outbox meanwhile")

    async def connection(self) -> Sequence[Finding]:
        """See that Redis answers and takes writes."""
        return [await _role("redis", self.settings.cache_url, "REDIS_URL")]

    async def broker(self) -> Sequence[Finding]:
        """See that the broker is one that Celery can use, answers, and takes writes."""
        parse_broker_url(self.settings.broker_url)
        return [await _role("broker", self.settings.broker_url, "CELERY_BROKER_URL")]

    async def clock(self) -> Sequence[Finding]:
        """Compare Redis' clock with this machine's."""
        async with aclosing(_client(self.settings.cache_url)) as client:

            async def read() -> float:
                seconds, microseconds = await client.time()
                return seconds + microseconds / 1e6

            return [await compare("clock.redis", read, self.now)]

    async def event_stream(self) -> Sequence[Finding]:
        """See that the stream is one, or is not there yet: the first event makes it."""
        stream, bus = self.settings.event_stream, Publisher.REDIS.value
        async with aclosing(_client(self.settings.cache_url)) as client:
            kind: Any = await client.type(stream)
            if kind == b"none":
                return [ok("event-bus", f"{bus}: {stream} is not there yet; the first event makes it")]
            if kind != b"stream":
                text = f"{bus}: {stream} is a {kind.decode()}, no stream"
                return [fail("event-bus", text, "name another stream in EVENT_STREAM, or remove that key")]
            return [ok("event-bus", f"{bus}: {stream} holds {await client.xlen(stream)} events")]


def _client(url: str) -> Any:
    return connect(url, _TIMEOUT_SECONDS, Retry(NoBackoff(), 0))


async def _role(name: str, url: str, variable: str) -> Finding:
    async with aclosing(_client(url)) as client:
        await client.ping()
        found: dict[str, Any] = await client.info("replication")
    # A Cluster answers for each of its nodes.
    if found.get("role") == "slave":
        return fail(name, "it is a replica, which takes no writes", f"name the primary in {variable}, or its Sentinels")
    return ok(name, "answers")
