"""Real worker processes, and the owner's side of jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import pytest

from kaireon_application.errors import Unavailable
from kaireon_application.platform.job import JobStatus, Queue
from kaireon_application.platform.jobs import JobRecord, Jobs, NewJob
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_testkit.platform.tenant import Tenant

PROCESS = Path(__file__).with_name("worker_process.py")
_OVER = {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.DEAD}


class StartWorker(Protocol):
    """Starts a worker process on the test's database and broker."""

    def __call__(
        self,
        *,
        redis_url: str | None = None,
        quick: bool = True,
        stderr: int | None = None,
        broker_url: str | None = None,
    ) -> subprocess.Popen[bytes]: ...


@pytest.fixture
def start_worker(database_url: str, redis_url: str) -> Iterator[StartWorker]:
    """Start worker processes; those that still run are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []
    default_url = redis_url

    def start(
        *, redis_url: str | None = None, quick: bool = True, stderr: int | None = None, broker_url: str | None = None
    ) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url or default_url}
        environment |= {} if broker_url is None else {"CELERY_BROKER_URL": broker_url}
        process = subprocess.Popen(
            [sys.executable, str(PROCESS), "quick" if quick else "slow"], env=environment, stderr=stderr
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


class JobOwner:
    """Asks for jobs and waits for what becomes of them."""

    def __init__(self, jobs: Jobs, tenant_id: UUID, database: Database) -> None:
        self.jobs = jobs
        self.tenant_id = tenant_id
        self.database = database

    async def enqueue(self, job_type: str, **payload: Any) -> UUID:
        return await self.jobs.enqueue(self.tenant_id, NewJob(queue=Queue.SEED, type=job_type, payload=payload))

    async def get(self, job_id: UUID) -> JobRecord:
        return await self.jobs.get(self.tenant_id, job_id)

    async def until(self, job_id: UUID, is_it: Callable[[JobRecord], bool], within: float = 45) -> JobRecord:
        """Return the job once it is as wanted."""
        record: JobRecord | None = None
        deadline = time.monotonic() + within
        while record is None or not is_it(record):
            assert time.monotonic() < deadline, record
            await asyncio.sleep(0.05)
            # Some tests take Postgres away for a while.
            with suppress(Unavailable):
                record = await self.get(job_id)
        return record

    async def until_over(self, job_id: UUID, within: float = 45) -> JobRecord:
        """Return the job once it is over."""
        return await self.until(job_id, lambda record: record.status in _OVER, within)

    async def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Return what a statement selects."""
        async with self.database.system_transaction() as connection:
            cursor = await connection.execute(sql, parameters)  # pyright: ignore[reportArgumentType]
            return await cursor.fetchall() if cursor.description else []


@pytest.fixture
async def owner(database: Database, tenant: Tenant, redis_url: str) -> AsyncIterator[JobOwner]:
    """The owner's side of jobs, on the test's broker."""
    announcer = BrokerAnnouncer(parse_broker_url(redis_url))
    yield JobOwner(Jobs(PostgresJobBook(database), announcer), tenant.tenant_id, database)
    await announcer.close()


@pytest.fixture
async def effect_tables(database_url: str) -> None:
    """Where the handler `write_effect` leaves its traces."""
    import psycopg  # noqa: PLC0415

    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("CREATE TABLE attempts (job_id uuid, attempt integer)")
        await connection.execute("CREATE TABLE effects (job_id uuid)")
        await connection.execute("GRANT ALL ON attempts, effects TO kaireon_app, kaireon_system")


async def eventually(is_it: Callable[[], Awaitable[bool]], within: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not await is_it():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
