"""A worker that stands still in the middle of a transaction under its lease loses the lease all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from kaireon_application.platform.job_announcements import AnnouncementTerms
from kaireon_application.platform.job_runner import Lease
from kaireon_storage.postgres.jobs import PostgresDueJobs, PostgresJobStore

if TYPE_CHECKING:
    from tests.worker.conftest import JobOwner

_LEASE_SECONDS = 15.0


async def claimed(owner: JobOwner, lease_seconds: float) -> Lease:
    job_id = await owner.enqueue("count_up")
    lease = Lease(tenant_id=owner.tenant_id, job_id=job_id, token=uuid4())
    assert await PostgresJobStore(owner.database).claim(lease, lease_seconds) is not None
    return lease


async def holding(database_url: str, lease: Lease, pause: bytes) -> psycopg.AsyncConnection[Any]:
    """Hold a lease as a worker does that stopped half way through a message: the last statements never come."""
    connection = await psycopg.AsyncConnection.connect(database_url)
    await connection.execute("SET ROLE kaireon_system")
    await connection.execute("SELECT id FROM jobs WHERE id = %s FOR UPDATE", (lease.job_id,))
    connection.pgconn.enter_pipeline_mode()
    connection.pgconn.send_query_params(pause, [])
    connection.pgconn.send_flush_request()
    connection.pgconn.flush()
    return connection


@pytest.mark.parametrize(
    ("lapsed_seconds", "pause", "grace_seconds", "ended"),
    [
        pytest.param(60, b"SELECT pg_sleep(0.3)", 0.0, 1, id="stands still"),
        pytest.param(60, b"SELECT pg_sleep(0.3)", 30.0, 0, id="has not stood still for long"),
        pytest.param(-60, b"SELECT pg_sleep(0.3)", 0.0, 0, id="its lease holds"),
        pytest.param(60, b"SELECT pg_sleep(600)", 0.0, 0, id="Postgres is at work for it"),
    ],
)
async def test_a_session_that_waits_for_its_worker_gives_up_a_lapsed_lease(
    owner: JobOwner, database_url: str, lapsed_seconds: float, pause: bytes, grace_seconds: float, ended: int
) -> None:
    due = PostgresDueJobs(owner.database)
    lease = await claimed(owner, -lapsed_seconds)
    connection = await holding(database_url, lease, pause)
    try:
        await owner.rows("SELECT pg_sleep(1)")
        assert await due.end_lapsed_holders(grace_seconds) == ended
        await owner.rows("SELECT pg_sleep(0.2)")
        taken = await due.take_due((), AnnouncementTerms(lapsed_again_seconds=0))
        assert len(taken) == ended
    finally:
        await connection.close()


async def test_another_worker_takes_the_job_over(owner: JobOwner, database_url: str) -> None:
    lease = await claimed(owner, -60)
    connection = await holding(database_url, lease, b"SELECT 1")
    other = Lease(tenant_id=lease.tenant_id, job_id=lease.job_id, token=uuid4())
    store = PostgresJobStore(owner.database)
    try:
        assert await store.claim(other, _LEASE_SECONDS) is None
        await owner.rows("SELECT pg_sleep(0.2)")
        assert await PostgresDueJobs(owner.database).end_lapsed_holders(0.1) == 1
        await owner.rows("SELECT pg_sleep(0.2)")
        assert await store.claim(other, _LEASE_SECONDS) is not None
    finally:
        await connection.close()
