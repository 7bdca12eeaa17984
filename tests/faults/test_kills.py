"""A process is killed while clients call: it alone is started again, and everything else finds back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.api.shop import created, flow_config, stock
from tests.faults.books import Books
from tests.faults.member import DEADLINE_SECONDS
from tests.faults.traffic import ASKED, Traffic

if TYPE_CHECKING:
    import httpx

    from tests.faults.platform import Platform

CALLS_MEANWHILE = 30
IN_FLIGHT = "409 IDEMPOTENCY_IN_PROGRESS"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Who is killed, whether its data go too, and what a call may then be answered with instead of an answer."""

    victim: str
    is_emptied: bool = False
    refusals: frozenset[str] = frozenset()


FAULTS = {
    "worker": Fault(victim="worker"),
    "publisher": Fault(victim="publisher"),
    "api": Fault(victim="api", refusals=frozenset({"cut", IN_FLIGHT})),
    "postgres": Fault(victim="postgres", refusals=frozenset({"503 UNAVAILABLE", IN_FLIGHT})),
    "redis": Fault(victim="redis"),
    "redis-emptied": Fault(victim="redis", is_emptied=True),
}


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_what_was_acknowledged_is_kept_and_counted_once(fault: Fault, platform: Platform) -> None:
    await kill_and_check([fault, fault], platform, customers=4000)


@pytest.mark.slow
async def test_what_was_acknowledged_outlives_three_processes(platform: Platform) -> None:
    await kill_and_check([FAULTS[name] for name in ("publisher", "redis", "api")], platform, customers=300)


async def kill_and_check(faults: Sequence[Fault], platform: Platform, *, customers: int) -> None:
    """Cause the faults one after the other, each in the middle of a batch run, and look whether anything is amiss."""
    began, lost_until = datetime.now(UTC), 0
    async with platform.client() as client:
        cap_id = await open_shop(client)
        traffic = Traffic(client)
        books = Books(platform, client, traffic.ledger)
        async with traffic.flowing():
            for place, fault in enumerate(faults):
                run_id = await traffic.start_run([f"b{place}-{number}" for number in range(customers)])
                await books.until_begun(run_id)
                lost_until = await kill(fault, platform, traffic, books)
        failures, expected = traffic.ledger.failures, frozenset[str]().union(*(fault.refusals for fault in faults))
        print(f"instead of an answer: {dict(failures)}")
        assert set(failures) <= expected, failures
        assert bool(failures) is bool(expected)
        await books.check_runs()
        await books.check_repeats()
        await books.check_customers()
        await books.check_counts(cap_id)
        await books.check_stream(lost_until)
        if lost_until:
            await platform.republish(began.isoformat())
            await books.check_everything_comes_again()


async def kill(fault: Fault, platform: Platform, traffic: Traffic, books: Books) -> int:
    """Kill, wait while clients call, start again; return the last event that a stream without its data may lack."""
    victim = platform.members[fault.victim]
    victim.kill()
    await traffic.until_tried(CALLS_MEANWHILE)
    lost_until = 0
    if fault.is_emptied:
        platform.erase_redis()
        lost_until = await books.last_position()
    victim.start()
    await victim.until_answering()
    await platform.members["api"].until_answering()
    await traffic.until_smooth()
    return lost_until


async def open_shop(client: httpx.AsyncClient) -> str:
    """Make a catalogue whose best offer has a cap that is never reached; return the cap's id."""
    await stock(client)
    cap = {"scope": "offer", "scopeId": "gold", "maxVolume": 10_000_000, "period": "monthly"}
    cap = await created(client, "frequency-caps", name="never reached", **cap)
    flow = flow_config({"type": "match_creatives"}, {"type": "contact_policy"})
    await created(client, "decision-flows", key="all", name="all", draftConfig=flow)
    assert (await client.post("/api/v1/decision-flows/all/publish", json={})).status_code == 200
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (await client.post("/api/v1/recommend", json={"customerId": "first", **ASKED})).status_code != 200:
            await asyncio.sleep(0.05)
    return cap["id"]
