"""Reads that may be a little old: dashboards, analytics lists, searches. Never a decision, never one's own write."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import psycopg

from kaireon_application.errors import TooSlow, Unavailable
from kaireon_runtime.catalogue import REPLICA_FALLBACKS, REPLICA_LAG, REPLICA_READS, UNEXPECTED_ERRORS
from kaireon_runtime.logs import logger
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_runtime.metrics import Metrics

Result = TypeVar("Result")
# What is read, given a connection inside a transaction of the tenant; it may be asked a second time, elsewhere.
Read = Callable[[Connection], Awaitable[Result]]

_LOOK_SECONDS = 0.25
# Marks of the primary's position: at four in a second these reach as far back as any limit that matters.
_MOST_MARKS = 4_096


class PrimaryMarks:
    """Where the primary's log stood when: tells how old what a replica has replayed is, by one clock only."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque(maxlen=_MOST_MARKS)

    def add(self, position: int, at: float) -> None:
        """Note where the primary stands, at seconds of a clock that only rises."""
        if self._marks and position < self._marks[-1][0]:
            # Another primary, whose log has branched off before.
            self._marks.clear()
        self._marks.append((position, at))

    def lag_seconds(self, replayed: int, now: float) -> float:
        """Return for how many seconds at most something may be missing from who has replayed so far."""
        reached = (at for position, at in reversed(self._marks) if position <= replayed)
        return now - next(reached, -math.inf)


class Replica:
    """One replica and what is known of it."""

    def __init__(self, database: Database, number: int) -> None:
        self.database = database
        self.name = str(number)
        self.lag_seconds = math.inf
        self.is_reachable = False


class ReadDatabase:
    """Reads from a replica that is near enough, else from the primary, which also answers when a replica fails."""

    def __init__(
        self, primary: Database, replicas: Sequence[Database], most_lag_seconds: float, metrics: Metrics
    ) -> None:
        """Take the databases; they are opened and closed by `running`, but for the primary."""
        self._primary = primary
        self._replicas = [Replica(database, number) for number, database in enumerate(replicas, 1)]
        self._most_lag = most_lag_seconds
        self._metrics = metrics
        self._marks = PrimaryMarks()
        self._turn = itertools.count()
        self._sql = queries("replicas")

    async def read(self, tenant_id: UUID, ask: Read[Result]) -> Result:
        """Return what is read of a tenant. Raises `Unavailable` when the primary cannot answer either."""
        replica = self._choose()
        if replica is not None:
            try:
                async with replica.database.transaction(tenant_id) as connection:
                    found = await ask(connection)
            except TooSlow:
                # It would take the primary as long.
                raise
            except Unavailable:
                replica.is_reachable = False
                self._metrics.add(REPLICA_FALLBACKS, "unreachable")
            else:
                self._metrics.add(REPLICA_READS, "replica")
                return found
        self._metrics.add(REPLICA_READS, "primary")
        async with self._primary.transaction(tenant_id) as connection:
            return await ask(connection)

    def _choose(self) -> Replica | None:
        near = [one for one in self._replicas if one.is_reachable and one.lag_seconds <= self._most_lag]
        if near:
            return near[next(self._turn) % len(near)]
        if self._replicas:
            is_late = any(one.is_reachable for one in self._replicas)
            self._metrics.add(REPLICA_FALLBACKS, "lag" if is_late else "unreachable")
        return None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep looking at the replicas until the block ends."""
        async with AsyncExitStack() as stack:
            for replica in self._replicas:
                await replica.database.open()
                stack.push_async_callback(replica.database.close)
            looking = asyncio.create_task(self._look_for_ever(), name="replicas") if self._replicas else None
            try:
                yield
            finally:
                if looking is not None:
                    looking.cancel()
                    with suppress(asyncio.CancelledError):
                        await looking

    async def _look_for_ever(self) -> None:
        log = logger("kaireon.replicas")
        while True:
            try:
                await self.look()
            except Exception:  # the outermost loop of this task: counted and logged
                self._metrics.add(UNEXPECTED_ERRORS, "api")
                log.exception("cannot look at the replicas")
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Note where the primary stands, and how far behind each replica is."""
        with suppress(Unavailable):
            async with self._primary.system_transaction() as connection:
                row = await self._sql.primary_position(connection)
            self._marks.add(int(row["position"]), time.monotonic())
        await asyncio.gather(*(self._look_at(replica) for replica in self._replicas))

    async def _look_at(self, replica: Replica) -> None:
        try:
            async with replica.database.system_transaction() as connection:
                row = await self._sql.replayed_position(connection)
        except (Unavailable, psycopg.Error):
            # It is away, or it is of a kind that cannot say how far it is.
            replica.is_reachable = False
            return
        # Null on a server that is no replica: what it holds is not known to be ours.
        replayed = row["position"]
        replica.lag_seconds = math.inf if replayed is None else self._marks.lag_seconds(int(replayed), time.monotonic())
        replica.is_reachable = True
        self._metrics.set(REPLICA_LAG, replica.lag_seconds, replica.name)
