"""Laws of the relay under crashes: nothing is lost, order is kept, a repeat has the same id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaireon_application.platform.outbox import (
    ClaimLimits,
    Outbox,
    OutboxBacklog,
    OutboxEvent,
    Settlement,
    SinkUnavailable,
)
from kaireon_application.platform.outbox_relay import RelayLimits, RelayOutbox
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.outbox import PostgresOutbox
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.outbox_publisher.outbox_table import OutboxTable

if TYPE_CHECKING:
    from kaireon_application.platform.outbox import Claim

TENANTS = (UUID(int=1), UUID(int=2))


class Crashed(Exception):
    """The process ended here."""


class Fate:
    """What happens at each step, drawn by Hypothesis; after the last one nothing happens any more."""

    def __init__(self, steps: list[str]) -> None:
        self._steps = iter(steps)

    def meets(self, *events: str) -> str | None:
        """Return what happens now, of those that can."""
        step = next(self._steps, "nothing")
        return step if step in events else None


class FatefulSink:
    """Keeps what it is given, and ends the process or fails in the middle when fate says so."""

    def __init__(self, fate: Fate, kept: list[OutboxEvent]) -> None:
        self._fate = fate
        self._kept = kept

    async def publish(self, events: Sequence[OutboxEvent]) -> Sequence[str | None]:
        happens = self._fate.meets("crash before send", "crash within send", "crash after send", "sink goes")
        # Another publisher may run now.
        await asyncio.sleep(0)
        if happens == "crash before send":
            raise Crashed
        middle = len(events) // 2
        self._kept += events[:middle]
        if happens == "crash within send":
            raise Crashed
        if happens == "sink goes":
            raise SinkUnavailable(None, frozenset(event.id for event in events[:middle]))
        self._kept += events[middle:]
        if happens == "crash after send":
            raise Crashed
        return [None] * len(events)

    async def trim(self) -> int:
        return 0

    async def close(self) -> None:
        """Nothing to give back."""


class FatefulOutbox:
    """The real outbox, whose caller may end between two of its steps; its transaction ends with it."""

    def __init__(self, outbox: Outbox, fate: Fate) -> None:
        self._outbox = outbox
        self._fate = fate

    @asynccontextmanager
    async def claim(self, limits: ClaimLimits) -> AsyncGenerator[FatefulClaim]:
        async with self._outbox.claim(limits) as claim:
            if self._fate.meets("crash after claim"):
                raise Crashed
            yield FatefulClaim(claim, self._fate)
            if self._fate.meets("crash before commit"):
                raise Crashed

    async def backlog(self) -> OutboxBacklog:
        return await self._outbox.backlog()

    async def end_stuck_claims(self) -> int:
        return await self._outbox.end_stuck_claims()

    async def republish_since(self, since: datetime) -> int:
        return await self._outbox.republish_since(since)

    async def release_stuck(self, created_before: datetime) -> int:
        return await self._outbox.release_stuck(created_before)


class FatefulClaim:
    """A claim whose marks may never be written."""

    def __init__(self, claim: Claim, fate: Fate) -> None:
        self._claim = claim
        self._fate = fate
        self.events = claim.events
        self.has_more = claim.has_more

    async def settle(self, settlement: Settlement) -> None:
        if self._fate.meets("crash before mark"):
            raise Crashed
        await self._claim.settle(settlement)
        if self._fate.meets("crash after mark"):
            raise Crashed


STEPS = st.sampled_from(
    [
        "nothing",
        "crash after claim",
        "crash before send",
        "crash within send",
        "crash after send",
        "sink goes",
        "crash before mark",
        "crash after mark",
        "crash before commit",
    ]
)


@given(
    written=st.lists(st.tuples(st.sampled_from(TENANTS), st.integers(0, 3)), min_size=1, max_size=30),
    fates=st.lists(st.lists(STEPS, max_size=25), min_size=1, max_size=3),
    claim=st.builds(ClaimLimits, events=st.integers(1, 12), lanes=st.integers(1, 8)),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_crashes_nothing_is_lost_or_overtaken_and_repeats_have_the_same_id(
    database_url: str, written: list[tuple[UUID, int]], fates: list[list[str]], claim: ClaimLimits
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE outbox_events, outbox_dead_letters")
    kept = asyncio.run(_relay_all(database_url, written, fates, claim))
    assert asyncio.run(_stored(database_url)) == _first_arrivals(kept)
    sizes = {event.id: event for event in kept}
    assert len(sizes) == len(written)
    assert all(event == sizes[event.id] for event in kept), "a repeat is the same event"


async def _relay_all(
    url: str, written: list[tuple[UUID, int]], fates: list[list[str]], claim: ClaimLimits
) -> list[OutboxEvent]:
    table, kept = OutboxTable(url), list[OutboxEvent]()
    for tenant_id, customer in written:
        await table.insert(f"customer-{customer}", tenant_id=tenant_id)
    database = Database(url, max_connections=len(fates), application_name="tests")
    await database.open()
    try:
        await asyncio.gather(*(_publisher(database, Fate(fate), kept, claim) for fate in fates))
    finally:
        await database.close()
    assert set(await table.statuses()) == {"sent"}
    return kept


async def _publisher(database: Database, fate: Fate, kept: list[OutboxEvent], claim: ClaimLimits) -> None:
    """Relay until nothing waits; whoever crashed is started again, with nothing remembered."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        outbox = FatefulOutbox(PostgresOutbox(database), fate)
        relay = RelayOutbox(outbox, FatefulSink(fate, kept), RelayLimits(claim=claim), time.monotonic)
        try:
            while (await relay.relay()).has_progressed or (await outbox.backlog()).events:
                continue
        except (Crashed, SinkUnavailable):
            continue
        return
    raise AssertionError("the relay does not finish")


def _first_arrivals(kept: Sequence[OutboxEvent]) -> dict[tuple[UUID, str], list[UUID]]:
    ids: dict[tuple[UUID, str], dict[UUID, None]] = {}
    for event in kept:
        ids.setdefault((event.tenant_id, event.key), {})[event.id] = None
    return {customer: list(of_customer) for customer, of_customer in ids.items()}


async def _stored(url: str) -> dict[tuple[UUID, str], list[UUID]]:
    ids: dict[tuple[UUID, str], list[UUID]] = {}
    for row in await OutboxTable(url).rows():
        ids.setdefault((row["tenant_id"], row["key"]), []).append(row["id"])
    return ids
