"""Batch runs in Postgres: the owner's view, and the worker's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from kaireon_application.decisioning.decide_list import DecideCustomer, DecideRequest
from kaireon_application.decisioning.decision_run import (
    CHUNK_SIZE,
    JOB_TYPE,
    ChunkTaken,
    CommitPart,
    NewRun,
    PartRefused,
    PlacedCustomer,
    RunCounts,
    RunPart,
    RunPlan,
    RunStand,
    RunSummary,
)
from kaireon_application.decisioning.run_answer import RunRecord
from kaireon_application.decisioning.run_terms import RunTerms
from kaireon_application.errors import Busy, CapTaken, Conflict
from kaireon_application.platform.job import JobRun, Queue
from kaireon_application.platform.jobs import JobRecord
from kaireon_runtime.logs import logger
from kaireon_runtime.origin import origin
from kaireon_storage.postgres.arrays import array, json_array, nested_array
from kaireon_storage.postgres.decisions import is_cap_taken
from kaireon_storage.postgres.jobs import hold_lease
from kaireon_storage.postgres.queries import positional, queries

if TYPE_CHECKING:
    from datetime import datetime

    from kaireon_storage.postgres.database import Connection, Database, Row
    from kaireon_storage.postgres.decisions import PostgresDecisions
    from kaireon_storage.postgres.round_trip import BoundStatement

# A server that is at fault is no verdict on the rows.
_REFUSED = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError)
# So many chunks travel in one statement.
_CHUNKS_AT_ONCE = 100
_encode = msgspec.json.Encoder().encode
_decode_customers = msgspec.json.Decoder(list[DecideCustomer]).decode


class PostgresRuns:
    """Implements `RunShelf` and `RunReader`."""

    def __init__(self, database: Database) -> None:
        """Keep the runs in this database."""
        self._database = database
        self._sql = queries("runs")

    async def insert(self, tenant_id: UUID, new: NewRun) -> None:
        """Write a run, its customers and its queued job in one transaction.

        Raises `Conflict` when its definition has a run for this instant already.
        """
        async with self._database.transaction(tenant_id) as connection:
            if not await self._insert_run(connection, tenant_id, new):
                raise Conflict("there is a run for this instant already")
            await _insert_chunks(connection, tenant_id, new.id, new.chunks)
            await queries("jobs").insert_job(
                connection,
                tenant_id=tenant_id,
                id=new.id,
                queue=Queue.BATCH.value,
                type=JOB_TYPE,
                payload=Jsonb({}),
                dedupe_key=None,
                traceparent=origin().traceparent,
            )

    async def _insert_run(self, connection: Connection, tenant_id: UUID, new: NewRun) -> bool:
        origin = new.origin
        if origin is not None:
            await self._sql.hold_definition(connection, tenant_id=tenant_id, definition_id=origin.definition_id)
        written = await self._sql.insert_run(
            connection,
            tenant_id=tenant_id,
            id=new.id,
            request=Jsonb(msgspec.to_builtins(new.request)),
            total=new.total,
            terms=Jsonb(msgspec.to_builtins(new.terms)),
            # Caps are given out in the order of the customers, by one worker.
            is_shared=not new.terms.frequency_caps.are_any,
            definition_id=origin.definition_id if origin else None,
            due_at=origin.due_at if origin else None,
        )
        return written is not None

    async def last_due(self, tenant_id: UUID, definition_id: UUID) -> datetime | None:
        """Return the last instant of its schedule for which a definition has a run, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.last_due(connection, tenant_id=tenant_id, definition_id=definition_id)
        return row["due_at"]

    async def list(
        self, tenant_id: UUID, definition_id: UUID, after_number: int | None, limit: int
    ) -> tuple[list[RunRecord], int]:
        """Return runs of a definition, newest first, before a number, and how many it has in all."""
        async with self._database.transaction(tenant_id) as connection:
            found = self._sql.list_runs(
                connection,
                tenant_id=tenant_id,
                definition_id=definition_id,
                after_number=after_number,
                row_count=limit,
            )
            rows = [row async for row in found]
        return [_record(row) for row in rows], rows[0]["total_count"] if rows else 0

    async def get(self, tenant_id: UUID, run_id: UUID) -> RunRecord | None:
        """Return a run of this tenant, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_run(connection, tenant_id=tenant_id, id=run_id)
        return None if row is None else _record(row)

    async def lines(self, tenant_id: UUID, run_id: UUID, after_place: int, count: int) -> list[tuple[int, str]]:
        """Return (place, JSON) of at most so many results, in order, after a place."""
        async with self._database.transaction(tenant_id) as connection:
            found = self._sql.list_lines(
                connection, tenant_id=tenant_id, run_id=run_id, after_place=after_place, row_count=count
            )
            return [(row["place"], row["line"]) async for row in found]


# Yields the ids of the members of a tenant's segment.
ReadMembers = Callable[[UUID, str], AsyncGenerator[list[str]]]
# Owns the lease of an attempt until the transaction ends. Raises `LeaseLost`.
HoldLease = Callable[["Connection", JobRun], Awaitable[None]]


class PostgresRunProgress:
    """Implements `RunProgress`."""

    def __init__(
        self,
        database: Database,
        decisions: PostgresDecisions,
        members: ReadMembers,
        committed: Callable[[], object],
        hold: HoldLease = hold_lease,
    ) -> None:
        """Keep results in this database, together with what these decisions write; `committed` is told of each part."""
        self._database = database
        self._hold = hold
        self._members = members
        self._committed = committed
        self._decisions = decisions
        self._sql = queries("runs")
        # One transaction at a time: in Postgres they would wait for each other on the row of the lease.
        self._turn = asyncio.Lock()
        self._count_decided = positional("runs", "count_decided")
        self._insert_results = positional("runs", "insert_results")

    async def open(self, run: JobRun) -> RunPlan | None:
        """Return what there is to do, None when there is no such run."""
        async with self._database.transaction(run.job.tenant_id) as connection:
            row = await self._sql.open_run(connection, tenant_id=run.job.tenant_id, id=run.job.id)
        if row is None:
            return None
        request, total = msgspec.convert(row["request"], DecideRequest), row["total"]
        if total is None:
            total = await self._enlist(run, request.segment_id or "")
        terms = msgspec.convert(row["terms"] or {}, RunTerms)
        return RunPlan(request=request, total=total, terms=terms)

    async def _enlist(self, run: JobRun, segment_id: str) -> int:
        """Store the members of a segment as the customers of a run, and return how many they are."""
        ids = [id_ async for part in self._members(run.job.tenant_id, segment_id) for id_ in part]
        chunks = [
            _encode([DecideCustomer(customer_id=id_) for id_ in ids[first : first + CHUNK_SIZE]])
            for first in range(0, len(ids), CHUNK_SIZE)
        ]
        async with self._leased(run) as connection:
            await _insert_chunks(connection, run.job.tenant_id, run.job.id, chunks)
            await self._sql.set_total(connection, tenant_id=run.job.tenant_id, id=run.job.id, total=len(ids))
        return len(ids)

    async def claim(self, run: JobRun) -> list[PlacedCustomer] | None:
        """Take the next free chunk, and return its customers that have no result yet, in order."""
        of_run = _of(run)
        try:
            async with self._database.transaction(run.job.tenant_id) as connection:
                await self._sql.hold_run(connection, **of_run)
                claimed = await self._sql.claim_chunk(connection, **of_run, lease_token=run.lease_token)
                return None if claimed is None else await self._undecided(connection, of_run, claimed["number"])
        except Busy:
            # Whoever takes one now hangs; there may be a chunk left later.
            return None

    async def _undecided(self, connection: Connection, of_run: dict[str, UUID], number: int) -> list[PlacedCustomer]:
        first = number * CHUNK_SIZE
        places = {"first_place": first, "last_place": first + CHUNK_SIZE - 1}
        row = await self._sql.get_chunk(connection, **of_run, number=number, **places)
        decided = set[int](row["decided"])
        if len(decided) != row["decided_count"]:
            await self._sql.recount_chunk(connection, **of_run, number=number, decided_count=len(decided))
        return [
            PlacedCustomer(place=place, customer=customer)
            for place, customer in enumerate(_decode_customers(row["customers"]), first)
            if place not in decided
        ]

    async def stand(self, run: JobRun) -> RunStand:
        """Return how far the run is."""
        async with self._database.transaction(run.job.tenant_id) as connection:
            return RunStand(**await self._sql.stand_of_run(connection, **_of(run)))

    def committing(self, run: JobRun) -> CommitPart:
        """Return how to commit parts of this run, each in a transaction of its own."""

        async def commit(part: RunPart) -> list[bool]:
            with _refusals_told():
                async with self._leased(run) as connection:
                    won = await self._write(connection, run, part)
            self._committed()
            return won

        return commit

    @asynccontextmanager
    async def holding(self, run: JobRun, customer_id: str) -> AsyncGenerator[CommitPart]:
        """Hold a customer's row: until the block ends only the commit that it yields can raise their version."""
        tenant_id = run.job.tenant_id
        async with self._leased(run) as connection:
            await queries("decisions").hold_customer(connection, tenant_id=tenant_id, customer_id=customer_id)

            async def commit(part: RunPart) -> list[bool]:
                with _refusals_told():
                    try:
                        return await self._write(connection, run, part)
                    except psycopg.OperationalError as error:
                        # Another row's lock that did not come in time, or a connection that is gone.
                        raise Busy from error

            yield commit
        self._committed()

    async def counted(self, run: JobRun) -> RunCounts:
        """Return what has been decided so far."""
        of_run = _of(run)
        async with self._database.transaction(run.job.tenant_id) as connection:
            await self._sql.allow_long_statement(connection)
            counted = await self._sql.count_results(connection, **of_run)
            offers = [(row["id"], row["count"]) async for row in self._sql.count_offers(connection, **of_run)]
            channels = [(row["id"], row["count"]) async for row in self._sql.count_channels(connection, **of_run)]
        return RunCounts(**counted, offers=offers, channels=channels)

    async def dismiss(self, run: JobRun) -> None:
        """End all helping, once what is being committed is."""
        async with self._leased(run) as connection:
            await queries("run_helpers").dismiss_helpers(connection, **_of(run))

    async def finish(self, run: JobRun, summarise: Callable[[RunCounts], RunSummary]) -> RunSummary:
        """Count what was decided, and keep and return the summary of it."""
        counts = await self.counted(run)
        summary = summarise(counts)
        async with self._leased(run) as connection:
            await self._sql.finish_run(
                connection,
                tenant_id=run.job.tenant_id,
                id=run.job.id,
                summary=Jsonb(msgspec.to_builtins(summary)),
            )
        return summary

    async def _write(self, connection: Connection, run: JobRun, part: RunPart) -> list[bool]:
        won = await self._decisions.commit_within(connection, part.changes) if part.changes else []
        statements = self._results(run, part, won)
        if statements:
            counted, *_ = await self._database.within(connection, statements)
            if counted.ntuples == 0:
                raise ChunkTaken
        return won

    def _results(self, run: JobRun, part: RunPart, won: Sequence[bool]) -> list[BoundStatement]:
        """Return what counts and writes the results of those whose change was written, and the refusals."""
        kept = [
            (line, change.recommended)
            for line, change, has_won in zip(part.lines, part.changes, won, strict=True)
            if has_won
        ]
        lines = [line for line, _ in kept] + list(part.refusals)
        if not lines:
            return []
        nothing: list[list[Any]] = [[] for _ in part.refusals]
        of_run = {name: str(value) for name, value in _of(run).items()}
        counted = {
            **of_run,
            "number": str(lines[0].place // CHUNK_SIZE),
            "lease_token": str(run.lease_token),
            "decided_count": str(len(lines)),
        }
        written = {
            **of_run,
            "places": array(line.place for line in lines),
            "lines": json_array(line.line for line in lines),
            "errors": array([False] * len(kept) + [True] * len(part.refusals)),
            "offer_ids": nested_array([*(made.offer_ids for _, made in kept), *nothing]),
            "channel_ids": nested_array([*(made.channel_ids for _, made in kept), *nothing]),
        }
        return [self._count_decided.bind(counted), self._insert_results.bind(written)]

    @asynccontextmanager
    async def _leased(self, run: JobRun) -> AsyncGenerator[Connection]:
        async with self._turn, self._database.transaction(run.job.tenant_id) as connection:
            await self._hold(connection, run)
            yield connection


def _of(run: JobRun) -> dict[str, UUID]:
    return {"tenant_id": run.job.tenant_id, "run_id": run.job.id}


def _record(row: Row) -> RunRecord:
    summary = row["summary"]
    return RunRecord(
        job=msgspec.convert(row, JobRecord),
        summary=None if summary is None else msgspec.convert(summary, RunSummary),
        definition_id=row["definition_id"],
        run_number=row["run_number"],
        due_at=row["due_at"],
        terms=msgspec.convert(row["terms"] or {}, RunTerms),
    )


async def _insert_chunks(connection: Connection, tenant_id: UUID, run_id: UUID, chunks: Sequence[bytes]) -> None:
    for first in range(0, len(chunks), _CHUNKS_AT_ONCE):
        part = chunks[first : first + _CHUNKS_AT_ONCE]
        await queries("runs").insert_chunks(
            connection,
            tenant_id=tenant_id,
            run_id=run_id,
            numbers=list(range(first, first + len(part))),
            customers=[chunk.decode() for chunk in part],
        )


@contextmanager
def _refusals_told() -> Generator[None]:
    """Raise `CapTaken` for a cap, `PartRefused` when the rows cannot be stored: trying again would not help."""
    try:
        yield
    except _REFUSED as error:
        if is_cap_taken(error):
            raise CapTaken from error
        logger("kaireon.runs").error("Postgres refused a part of a run", reason=str(error))
        message = "this could not be stored, nothing was written"
        raise PartRefused(message) from error
