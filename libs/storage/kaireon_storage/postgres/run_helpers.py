"""Who helps with which batch run, in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kaireon_application.decisioning.decision_run import HELP_TYPE
from kaireon_application.platform.job import JobRun, JobStatus, LeaseLost, Queue
from kaireon_application.platform.job_runner import ClaimedJob, Lease
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_application.platform.job_runner import Progress, Settlement
    from kaireon_storage.postgres.database import Connection, Database


async def hold_helper(connection: Connection, run: JobRun) -> None:
    """Own a helper's lease until this transaction ends. Raises `LeaseLost`, also when the run is over."""
    held = await queries("run_helpers").hold_helper(
        connection, tenant_id=run.job.tenant_id, run_id=run.job.id, lease_token=run.lease_token
    )
    if held is None:
        raise LeaseLost


class PostgresRunHelpers:
    """Implements `JobStore` for helpers: each has a lease of its own, and the run's job keeps its leader's."""

    def __init__(self, database: Database) -> None:
        """Help with the runs of this database."""
        self._database = database
        self._sql = queries("run_helpers")

    async def find(self) -> tuple[UUID, UUID] | None:
        """Return the tenant and the id of a run that somebody should help with, or None."""
        async with self._database.system_transaction() as connection:
            row = await self._sql.find_shared_run(connection)
        return None if row is None else (row["tenant_id"], row["id"])

    async def has_lost_worker(self, tenant_id: UUID, job_id: UUID) -> bool:
        """Return False: it is the run that loses a worker, and a helper is a new one each time."""
        del tenant_id, job_id
        return False

    async def claim(self, lease: Lease, lease_seconds: float) -> ClaimedJob | None:
        """Join a run, or return None when it is over."""
        async with self._database.transaction(lease.tenant_id) as connection:
            row = await self._sql.join_run(connection, **_names(lease), lease_seconds=lease_seconds)
        if row is None:
            return None
        # Never the last attempt: nothing dies with a helper that fails.
        return ClaimedJob(
            queue=Queue.BATCH,
            type=HELP_TYPE,
            payload={},
            status=JobStatus.RUNNING,
            attempts=1,
            max_attempts=2,
            processed=0,
            total=None,
        )

    async def renew(self, lease: Lease, progress: Progress, lease_seconds: float) -> bool | None:
        """Go on helping; return whether the run is over or to end, None when the lease is lost."""
        del progress
        async with self._database.transaction(lease.tenant_id) as connection:
            row = await self._sql.renew_helper(connection, **_names(lease), lease_seconds=lease_seconds)
        return None if row is None else row["is_over"]

    async def settle(self, lease: Lease, progress: Progress, settlement: Settlement) -> bool:
        """Leave the run, however the attempt ended; the run's leader may have ended it before."""
        del progress, settlement
        async with self._database.transaction(lease.tenant_id) as connection:
            await self._sql.leave_run(connection, **_names(lease))
        return True


def _names(lease: Lease) -> dict[str, UUID]:
    return {"tenant_id": lease.tenant_id, "run_id": lease.job_id, "lease_token": lease.token}
