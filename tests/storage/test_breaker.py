"""The breaker: five whole-call failures in a row open it for everybody, and one probe at a time closes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from kaireon_runtime.metrics import Metrics
from kaireon_storage.external import breaker
from kaireon_storage.external.breaker import FAILURES, Admission, Breakers, Subject
from kaireon_storage.redis.connection import open_redis

SUBJECT = Subject(tenant_id="t1", model_id="m1", name="ext")
NOBODY = "redis://127.0.0.1:1/0"


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Process:
    """The breakers of one process, with its clock and what it counts."""

    breakers: Breakers
    clock: Clock
    metrics: Metrics
    redis: Any

    async def admit(self, subject: Subject = SUBJECT) -> Admission | None:
        return await self.breakers.admit(subject, 1000)

    async def fail(self, times: int = 1, subject: Subject = SUBJECT) -> None:
        for _ in range(times):
            admission = await self.admit(subject)
            assert admission is not None
            await self.breakers.failed(admission)

    async def succeed(self) -> None:
        admission = await self.admit()
        assert admission is not None
        await self.breakers.succeeded(admission)

    def changes(self) -> list[str]:
        """The changes of state that it has counted."""
        lines = self.metrics.render().decode().splitlines()
        prefix = "kaireon_circuit_breaker_state_change_total{"
        return sorted(line.removeprefix(prefix) for line in lines if line.startswith(prefix))


@asynccontextmanager
async def process(url: str) -> AsyncGenerator[Process]:
    clock, metrics, redis = Clock(), Metrics(), open_redis(url)
    try:
        yield Process(Breakers(redis, metrics, clock), clock, metrics, redis)
    finally:
        await redis.aclose()


@asynccontextmanager
async def two(url: str) -> AsyncGenerator[tuple[Process, Process]]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(process(url)), await stack.enter_async_context(process(url))


@pytest.fixture(params=["shared", "alone"])
def url(request: pytest.FixtureRequest, redis_url: str) -> str:
    """With Redis, and without."""
    return redis_url if request.param == "shared" else NOBODY


async def lapse(one: Process) -> None:
    """Let the time for which a breaker is open go by."""
    if one.breakers._paused_until == 0:
        await one.redis.delete(SUBJECT.keys[1])
    one.clock.now += breaker.OPEN_SECONDS + 1


async def test_it_opens_after_failures_in_a_row(url: str) -> None:
    async with process(url) as one:
        await one.fail(FAILURES - 1)
        await one.succeed()
        await one.fail(FAILURES - 1)
        assert await one.admit() is not None
        await one.fail()
        assert await one.admit() is None
        assert one.changes() == ['from="closed",name="ext",to="open"} 1.0']
        assert await one.admit(Subject(tenant_id="t2", model_id="m1", name="ext")) is not None


async def test_one_probe_at_a_time_closes_it(url: str) -> None:
    async with process(url) as one:
        await one.fail(FAILURES)
        await lapse(one)
        probe = await one.admit()
        assert probe is not None
        one.clock.now += 1
        assert await one.admit() is None
        await one.breakers.succeeded(probe)
        one.clock.now += 1
        assert await one.admit() is not None
        assert one.changes() == [
            'from="closed",name="ext",to="open"} 1.0',
            'from="half_open",name="ext",to="closed"} 1.0',
            'from="open",name="ext",to="half_open"} 1.0',
        ]


async def test_a_probe_that_fails_opens_it_again(url: str) -> None:
    async with process(url) as one:
        await one.fail(FAILURES)
        await lapse(one)
        await one.fail()
        one.clock.now += 1
        assert await one.admit() is None
        assert 'from="half_open",name="ext",to="open"} 1.0' in one.changes()


async def test_all_processes_share_it(redis_url: str) -> None:
    async with two(redis_url) as (one, other):
        await one.fail(2)
        await other.fail(1)
        await one.succeed()
        await one.fail(3)
        await other.fail(1)
        assert await other.admit() is not None
        await other.fail()
        assert await one.admit() is None
        assert await other.admit() is None
        await lapse(one)
        other.clock.now = one.clock.now
        probes = await asyncio.gather(one.admit(), other.admit())
        (probe,) = [found for found in probes if found is not None]
        await (one if probes[0] else other).breakers.succeeded(probe)
        for each in (one, other):
            each.clock.now += 1
            assert await each.admit() is not None


async def test_a_success_that_began_before_does_not_close_it(redis_url: str) -> None:
    async with process(redis_url) as one:
        early = await one.admit()
        assert early is not None
        await one.fail(FAILURES)
        await one.breakers.succeeded(early)
        assert await one.admit() is None


async def test_a_refusal_asks_redis_for_nothing(redis_url: str) -> None:
    async with process(redis_url) as one:
        await one.fail(FAILURES)
        assert await one.admit() is None
        before = (await one.redis.info("commandstats")).get("cmdstat_eval", {"calls": 0})["calls"]
        for _ in range(100):
            assert await one.admit() is None
        after = (await one.redis.info("commandstats")).get("cmdstat_eval", {"calls": 0})["calls"]
        assert after == before


async def test_its_state_lapses_by_itself(redis_url: str) -> None:
    async with process(redis_url) as one:
        await one.fail(FAILURES)
        open_ms, kept_ms = await one.redis.pttl(SUBJECT.keys[1]), await one.redis.pttl(SUBJECT.keys[0])
        assert 50_000 < open_ms <= 60_000
        assert kept_ms > open_ms
        assert all(key.startswith("kaireon:cb:") for key in SUBJECT.keys)
