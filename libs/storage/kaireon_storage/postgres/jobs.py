"""Rows of jobs in Postgres: the owner's view, the leases, and what has to be announced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from kaireon_application.errors import Conflict
from kaireon_application.platform.job import JobRun, LeaseLost
from kaireon_application.platform.job_runner import ClaimedJob
from kaireon_application.platform.jobs import JobPage, JobRecord, JobSummons
from kaireon_runtime.origin import origin
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from kaireon_application.platform.job_announcements import AnnouncementTerms
    from kaireon_application.platform.job_runner import Lease, Progress, Settlement
    from kaireon_application.platform.jobs import JobQuery, NewJob
    from kaireon_storage.postgres.database import Connection, Database

# As long as Postgres bears with an idle transaction under a lease; longer than a live worker takes for one.
_GRACE_SECONDS = 15.0


async def hold_lease(connection: Connection, run: JobRun) -> None:
    """Own the job until this transaction ends: nobody can take it over, and what is written here is written once.

    Keep such a transaction short (10 s at most): heartbeats wait for it. Raises `LeaseLost`.
    """
    held = await queries("jobs").hold_lease(
        connection, tenant_id=run.job.tenant_id, id=run.job.id, lease_token=run.lease_token
    )
    if held is None:
        raise LeaseLost


class PostgresJobBook:
    """Implements `JobBook`."""

    def __init__(self, database: Database) -> None:
        """Keep the jobs in this database."""
        self._database = database
        self._sql = queries("jobs")

    async def insert(self, tenant_id: UUID, job_id: UUID, new: NewJob) -> None:
        """Write a queued job in a transaction of its own."""
        try:
            async with self._database.transaction(tenant_id) as connection:
                await self._sql.insert_job(
                    connection,
                    tenant_id=tenant_id,
                    id=job_id,
                    queue=new.queue.value,
                    type=new.type,
                    payload=Jsonb(new.payload),
                    dedupe_key=new.dedupe_key,
                    traceparent=origin().traceparent,
                )
        except psycopg.errors.UniqueViolation as error:
            raise Conflict(await self._duplicate_message(tenant_id, new)) from error

    async def _duplicate_message(self, tenant_id: UUID, new: NewJob) -> str:
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.find_live_duplicate(
                connection, tenant_id=tenant_id, queue=new.queue.value, dedupe_key=new.dedupe_key
            )
        return f"a job for this is not over yet: {row['id'] if row else 'try again'}"

    async def get(self, tenant_id: UUID, job_id: UUID) -> JobRecord | None:
        """Return the job, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_job(connection, tenant_id=tenant_id, id=job_id)
        return None if row is None else msgspec.convert(row, JobRecord)

    async def list(self, tenant_id: UUID, query: JobQuery) -> JobPage:
        """Return one page of jobs."""
        chosen = {"tenant_id": tenant_id, "status": query.status, "queue": query.queue}
        async with self._database.transaction(tenant_id) as connection:
            counted = await self._sql.count_jobs(connection, **chosen)
            rows = [
                row
                async for row in self._sql.list_jobs(
                    connection,
                    **chosen,
                    after_at=query.after.created_at if query.after else None,
                    after_id=query.after.id if query.after else None,
                    row_count=query.limit + 1,
                )
            ]
        records = tuple(msgspec.convert(row, JobRecord) for row in rows[: query.limit])
        return JobPage(records=records, total=counted["total"], has_more=len(rows) > query.limit)

    async def cancel(self, tenant_id: UUID, job_id: UUID) -> JobRecord | None:
        """Cancel a job, or ask it to end; return it as it then is."""
        async with self._database.transaction(tenant_id) as connection:
            await self._sql.cancel_job(connection, tenant_id=tenant_id, id=job_id)
            row = await self._sql.get_job(connection, tenant_id=tenant_id, id=job_id)
        return None if row is None else msgspec.convert(row, JobRecord)

    async def forget_announcement(self, summons: tuple[JobSummons, ...]) -> None:
        """Make jobs look unannounced."""
        async with self._database.system_transaction() as connection:
            await _forget(connection, summons)


class PostgresJobStore:
    """Implements `JobStore`: leases, by the database's clock alone."""

    def __init__(self, database: Database) -> None:
        """Lease the jobs of this database."""
        self._database = database
        self._sql = queries("jobs")

    async def has_lost_worker(self, tenant_id: UUID, job_id: UUID) -> bool:
        """Return whether the job's lease has lapsed."""
        async with self._database.transaction(tenant_id) as connection:
            return await self._sql.find_lapsed(connection, tenant_id=tenant_id, id=job_id) is not None

    async def claim(self, lease: Lease, lease_seconds: float) -> ClaimedJob | None:
        """Take the lease of a due job, or return None."""
        async with self._database.transaction(lease.tenant_id) as connection:
            row = await self._sql.claim_job(connection, **_names(lease), lease_seconds=lease_seconds)
        return None if row is None else msgspec.convert(row, ClaimedJob)

    async def renew(self, lease: Lease, progress: Progress, lease_seconds: float) -> bool | None:
        """Renew the lease; return whether cancelling was asked for, None when the lease is lost."""
        async with self._database.transaction(lease.tenant_id) as connection:
            row = await self._sql.renew_lease(
                connection,
                **_names(lease),
                processed=progress.processed,
                total=progress.total,
                lease_seconds=lease_seconds,
            )
        return None if row is None else row["is_cancel_requested"]

    async def settle(self, lease: Lease, progress: Progress, settlement: Settlement) -> bool:
        """End the attempt; False when the lease was lost."""
        async with self._database.transaction(lease.tenant_id) as connection:
            settled_count = await self._sql.settle_job(
                connection,
                **_names(lease),
                status=settlement.status.value,
                error=_json(settlement.error),
                result=_json(settlement.result),
                retry_after_seconds=settlement.retry_after_seconds,
                uncounted=not settlement.is_attempt_counted,
                processed=progress.processed,
                total=progress.total,
            )
        return settled_count == 1


class PostgresDueJobs:
    """Implements `DueJobs`, and keeps broker messages that are no jobs."""

    def __init__(self, database: Database) -> None:
        """Look after the jobs of every tenant of this database."""
        self._database = database
        self._sql = queries("jobs")

    async def take_due(self, busy_queues: tuple[str, ...], terms: AnnouncementTerms) -> tuple[JobSummons, ...]:
        """Mark due jobs as announced now and return them; a lapsed one that a worker stands still with is freed."""
        await self.end_lapsed_holders()
        async with self._database.system_transaction() as connection:
            rows = [
                row
                async for row in self._sql.take_due_jobs(
                    connection,
                    busy_queues=list(busy_queues),
                    queued_again_seconds=terms.queued_again_seconds,
                    lapsed_again_seconds=terms.lapsed_again_seconds,
                    batch_count=terms.batch_count,
                )
            ]
        return tuple(JobSummons(queue=row["queue"], tenant_id=row["tenant_id"], job_id=row["id"]) for row in rows)

    async def end_lapsed_holders(self, grace_seconds: float = _GRACE_SECONDS) -> int:
        """End the sessions that hold leases which lapsed so long ago; needs the workers' own login. Return how many."""
        async with self._database.system_transaction() as connection:
            found = self._sql.find_lapsed_holders(connection, grace_seconds=grace_seconds)
            xids = [row["xid"] async for row in found]
            if not xids:
                return 0
            await self._sql.resume_login_role(connection)
            ended = self._sql.end_holders(connection, xids=xids, grace_seconds=grace_seconds)
            return len([row async for row in ended])

    async def forget_announcement(self, summons: tuple[JobSummons, ...]) -> None:
        """Make jobs look unannounced."""
        async with self._database.system_transaction() as connection:
            await _forget(connection, summons)

    async def bury_unknown_queues(self, known_queues: tuple[str, ...]) -> int:
        """Move jobs of unknown queues to the dead-letter list."""
        async with self._database.system_transaction() as connection:
            return await self._sql.bury_unknown_queues(connection, known_queues=list(known_queues))

    async def waiting(self) -> dict[str, WaitingJobs]:
        """Return what is due and free, by queue; a queue without any is left out."""
        async with self._database.system_transaction() as connection:
            return {row.pop("queue"): WaitingJobs(**row) async for row in self._sql.measure_queues(connection)}

    async def bury_message(self, message: PoisonMessage) -> bool:
        """Keep a broker message that is no job as a dead job; False when it is kept already, or nobody is there."""
        async with self._database.system_transaction() as connection:
            kept_count = await self._sql.bury_message(
                connection,
                id=message.id,
                tenant_id=message.tenant_id,
                queue=message.queue,
                type=message.type,
                payload=Jsonb({"message": message.text}),
                error=Jsonb({"code": message.code, "message": message.reason}),
            )
        return kept_count == 1


class WaitingJobs(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs wait for a worker, and for how long the oldest has."""

    waiting: int
    age_seconds: float


class PoisonMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A broker message that no worker can make a job of; `tenant_id` is the tenant it names, if any."""

    id: UUID
    queue: str
    type: str
    text: str
    code: str
    reason: str
    tenant_id: UUID | None = None


async def _forget(connection: Connection, summons: tuple[JobSummons, ...]) -> None:
    await queries("jobs").forget_announcement(
        connection, tenant_ids=[one.tenant_id for one in summons], ids=[one.job_id for one in summons]
    )


def _names(lease: Lease) -> dict[str, UUID]:
    return {"tenant_id": lease.tenant_id, "id": lease.job_id, "lease_token": lease.token}


def _json(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)
