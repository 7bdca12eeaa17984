"""Postgres: whether it answers, its schema, its clock, the queues of jobs and the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import DictRow, dict_row

from kaireon_cli.doctor.check import Check, Finding, State, fail, ok, warn
from kaireon_cli.doctor.clock import compare
from kaireon_cli.doctor.settings import DoctorSettings
from kaireon_runtime.settings import Pooler
from kaireon_storage.migrate import pending
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.diagnosis import OutboxState, PostgresDiagnosis, QueueState, server_of

_CONNECT_SECONDS = 3
# A worker looks at every job that is due at least that often, whether or not it was told.
_LATE_SECONDS = 120.0
_MANY_JOBS = 1_000
_LAGGING_SECONDS = 30.0
_STUCK_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresChecks:
    """The checks that ask Postgres. `now` is this machine's clock, in seconds since 1970."""

    settings: DoctorSettings
    database: Database
    now: Callable[[], float]

    def all(self) -> Sequence[Check]:
        """Return them in the order in which they are told."""
        start = "start Postgres, and see that DATABASE_URL names it and that its user may log in"
        later = "first see to postgres and migrations"
        return (
            Check(name="postgres", look=self.connection, next=start),
            Check(name="migrations", look=self.migrations, next=start),
            Check(name="clock.postgres", look=self.clock, next=start),
            Check(name="queues", look=self.queues, next=later),
            Check(name="outbox", look=self.outbox, next=later),
        )

    async def connection(self) -> Sequence[Finding]:
        """Connect as the tiers do, and find out what stands between."""
        # One connection of our own: a pool would say no more than that none could be had.
        async with await psycopg.AsyncConnection[DictRow].connect(
            self.settings.postgres_url,
            connect_timeout=_CONNECT_SECONDS,
            autocommit=True,
            prepare_threshold=None,
            row_factory=dict_row,
        ) as connection:
            server = await server_of(connection)
            told = connection.info.backend_pid
            place = f"{connection.info.host}:{connection.info.port}/{connection.info.dbname}"
        if server.is_replica:
            return [fail("postgres", f"{place} is a replica: it takes no writes", "name the primary in DATABASE_URL")]
        return [ok("postgres", f"{server.version} at {place}"), self._pooler(is_lent=server.pid != told)]

    def _pooler(self, *, is_lent: bool) -> Finding:
        pooler = self.settings.database_pooler
        if not is_lent:
            return ok("pooler", "none: sessions are our own, statements are prepared")
        if pooler is Pooler.NONE:
            text = "DATABASE_POOLER=none, but a pooler lends the sessions: prepared statements will collide"
            return fail("pooler", text, "unset DATABASE_POOLER (auto), or say transaction or transaction-prepared")
        if self.settings.database_direct_url is None:
            text = "a pooler lends the sessions and DATABASE_DIRECT_URL is not set: changes are polled for"
            return warn("pooler", text, "set DATABASE_DIRECT_URL to Postgres itself, past the pooler")
        if pooler is not Pooler.TRANSACTION_PREPARED:
            text = "a pooler lends the sessions; statements are planned anew each time"
            hint = "with PgBouncer 1.22 and max_prepared_statements above 0 set DATABASE_POOLER=transaction-prepared"
            return Finding(name="pooler", state=State.OK, text=text, next=hint)
        return ok("pooler", "a pooler lends the sessions, and keeps prepared statements apart")

    async def migrations(self) -> Sequence[Finding]:
        """Compare what is applied with what this release has."""
        url = self.settings.database_direct_url or self.settings.postgres_url
        missing, unknown = await asyncio.to_thread(pending, url)
        if missing:
            text = f"{len(missing)} of this release are not applied, the first {missing[0]}"
            return [fail("migrations", text, "kaireon migrate")]
        if unknown:
            text = f"{len(unknown)} are of another release, such as {unknown[-1]}"
            return [warn("migrations", text, "use the kaireon command of the release that runs here")]
        return [ok("migrations", "up to date")]

    async def clock(self) -> Sequence[Finding]:
        """Compare Postgres' clock with this machine's."""
        diagnosis = PostgresDiagnosis(self.database)

        async def read() -> float:
            return (await diagnosis.server()).at.timestamp()

        return [await compare("clock.postgres", read, self.now)]

    async def queues(self) -> Sequence[Finding]:
        """Look at jobs that wait, that have lost their worker, and that were given up."""
        queues = await PostgresDiagnosis(self.database).queues()
        return [queue_depth(queues), workers(queues), dead_jobs(queues)]

    async def outbox(self) -> Sequence[Finding]:
        """Look at events that wait, and at those that were given up."""
        if self.settings.event_publisher is None:
            return [ok("outbox", "EVENT_PUBLISHER=none: events wait for nobody, and cleanup removes them")]
        return outbox_findings(await PostgresDiagnosis(self.database).outbox())


def queue_depth(queues: Sequence[QueueState]) -> Finding:
    """Judge how much waits, and for how long."""
    queued = sum(queue.queued for queue in queues)
    late = [queue for queue in queues if queue.due_seconds > _LATE_SECONDS]
    if late:
        worst = max(late, key=lambda queue: queue.due_seconds)
        text = f"{queued} jobs wait; the oldest of {worst.queue} for {worst.due_seconds:.0f} s"
        return warn("queues", text, "start more workers, or see in their log why they take nothing")
    if queued > _MANY_JOBS:
        return warn("queues", f"{queued} jobs wait", "start more workers")
    return ok("queues", f"{queued} jobs wait")


def workers(queues: Sequence[QueueState]) -> Finding:
    """Judge by leases whether workers live: each running job's is renewed every few seconds."""
    running, lost = sum(queue.running for queue in queues), sum(queue.lost for queue in queues)
    is_late = any(queue.due_seconds > _LATE_SECONDS for queue in queues)
    if lost:
        text = f"{lost} running jobs have lost their worker, {running} have one"
        return warn("workers", text, "another worker takes them over within a minute; if none does, start one")
    if running:
        return ok("workers", f"{running} jobs are being run, each under a lease that is renewed")
    if is_late:
        return fail("workers", "jobs wait and nobody runs any", "start a worker with this DATABASE_URL and broker")
    return ok("workers", "nothing runs and nothing is late; an idle worker leaves no trace")


def dead_jobs(queues: Sequence[QueueState]) -> Finding:
    """Judge jobs that were given up."""
    dead = {queue.queue: queue.dead for queue in queues if queue.dead}
    if not dead:
        return ok("dead-jobs", "none")
    text = ", ".join(f"{count} of {queue}" for queue, count in dead.items())
    return warn("dead-jobs", text, "GET /api/v1/admin/dlq shows each with its error; retry or purge them there")


def outbox_findings(outbox: OutboxState) -> Sequence[Finding]:
    """Judge the relay by how long events wait for it."""
    waits = f"{outbox.pending} events wait, the oldest for {outbox.pending_seconds:.0f} s"
    reason = f"; refused: {outbox.last_error}" if outbox.last_error else ""
    hint = "see that an outbox publisher runs and reaches its bus: its log, its /ready, and event-bus here"
    if outbox.pending_seconds > _STUCK_SECONDS:
        lag = fail("outbox", waits + reason, hint)
    elif outbox.pending_seconds > _LAGGING_SECONDS or reason:
        lag = warn("outbox", waits + reason, hint)
    elif outbox.stuck:
        lag = warn("outbox", f"{outbox.stuck} events were taken and left", "the scheduled job outbox-reaper frees them")
    else:
        lag = ok("outbox", waits if outbox.pending else "no events wait")
    if not outbox.dead:
        return [lag, ok("dead-events", "none")]
    remedy = "GET /api/v1/admin/dlq shows each with its error; retry or purge them there"
    return [lag, warn("dead-events", f"{outbox.dead} events were given up", remedy)]
