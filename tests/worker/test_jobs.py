"""Jobs on real worker processes: leases, retries, dead letters, hand-over."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from typing import Any, LiteralString
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import redis
from psycopg import sql

from kaireon_application.errors import Conflict
from kaireon_application.platform.job import JobStatus, Queue
from kaireon_application.platform.job_runner import _storable
from kaireon_application.platform.jobs import Jobs, JobSummons, NewJob
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.stack import Stack
from kaireon_testkit.platform.tenant import Tenant
from tests.worker.conftest import JobOwner, StartWorker, eventually


async def test_job_completes_and_shows_its_progress_on_the_way(owner: JobOwner, start_worker: StartWorker) -> None:
    start_worker()
    job_id = await owner.enqueue("count_up", steps=30, pause=0.05)
    seen = await owner.until(job_id, lambda record: record.processed > 0)
    assert seen.total == 30
    done = await owner.until_over(job_id)
    assert (done.status, done.processed, done.total, done.result, done.attempts) == (
        JobStatus.COMPLETED,
        30,
        30,
        {"steps": 30},
        1,
    )
    assert done.started_at is not None
    assert done.finished_at is not None


@pytest.mark.slow
@pytest.mark.usefixtures("effect_tables")
async def test_killed_workers_job_is_resumed_by_another_and_its_effect_happens_once(
    owner: JobOwner, start_worker: StartWorker
) -> None:
    first = start_worker(quick=False)
    job_id = await owner.enqueue("write_effect", slowAttempts=1)
    await owner.until(job_id, lambda record: record.status == JobStatus.RUNNING)
    start_worker(quick=False)
    first.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    done = await owner.until_over(job_id)
    assert time.monotonic() - killed_at < 30
    assert (done.status, done.attempts, done.result) == (JobStatus.COMPLETED, 2, {"attempt": 2})
    assert len(await owner.rows("SELECT 1 FROM effects WHERE job_id = %s", job_id)) == 1


@pytest.mark.usefixtures("effect_tables")
async def test_paused_worker_that_lost_its_lease_writes_nothing(owner: JobOwner, start_worker: StartWorker) -> None:
    first = start_worker()
    job_id = await owner.enqueue("write_effect", slowAttempts=1, dawdle=5)
    await owner.until(job_id, lambda record: record.status == JobStatus.RUNNING)
    await eventually(lambda: _is_true(owner, "SELECT 1 FROM attempts"))
    first.send_signal(signal.SIGSTOP)
    start_worker()
    done = await owner.until_over(job_id)
    assert done.result == {"attempt": 2}
    first.send_signal(signal.SIGCONT)
    # It wakes up in the middle of its dawdling, finds the lease gone, and is as good as new afterwards.
    other_id = await owner.enqueue("count_up")
    assert (await owner.until_over(other_id)).status == JobStatus.COMPLETED
    assert len(await owner.rows("SELECT 1 FROM effects")) == 1
    assert (await owner.get(job_id)).attempts == 2


async def test_blocked_handler_keeps_its_lease(owner: JobOwner, start_worker: StartWorker) -> None:
    start_worker()
    start_worker()
    # Longer than a lease, in a handler that never yields: heartbeats go on beside it.
    job_id = await owner.enqueue("block", seconds=5)
    assert (await owner.until_over(job_id)).result == {"attempt": 1}


async def test_job_that_always_fails_is_dead_after_five_attempts(owner: JobOwner, start_worker: StartWorker) -> None:
    start_worker()
    dead = await owner.until_over(await owner.enqueue("fail"))
    assert (dead.status, dead.attempts) == (JobStatus.DEAD, 5)
    assert dead.error == {"code": "INTERNAL", "message": "RuntimeError: attempt 5 failed"}


async def test_refused_job_fails_at_once_with_its_code(owner: JobOwner, start_worker: StartWorker) -> None:
    start_worker()
    failed = await owner.until_over(await owner.enqueue("refuse"))
    assert (failed.status, failed.attempts) == (JobStatus.FAILED, 1)
    assert failed.error == {"code": "one_class", "message": "only one class"}


async def test_job_of_unknown_type_is_dead(owner: JobOwner, start_worker: StartWorker) -> None:
    start_worker()
    dead = await owner.until_over(await owner.enqueue("no_such_type"))
    assert (dead.status, dead.error["code"]) == (JobStatus.DEAD, "unknown_type")


@pytest.mark.parametrize(
    ("queue", "payload", "code"),
    [("seed-jobs", "[1, 2]", "undecodable_payload"), ("no-such-queue", "{}", "unknown_queue")],
)
async def test_row_that_no_worker_can_use_is_dead(
    owner: JobOwner, start_worker: StartWorker, queue: str, payload: str, code: str
) -> None:
    start_worker()
    job_id = uuid4()
    await owner.rows(
        "INSERT INTO jobs (tenant_id, id, queue, type, payload) VALUES (%s, %s, %s, 'count_up', %s::jsonb)",
        owner.tenant_id,
        job_id,
        queue,
        payload,
    )
    dead = await owner.until_over(job_id)
    assert (dead.status, dead.error["code"]) == (JobStatus.DEAD, code)


async def test_cancelled_job_ends_at_its_next_report(owner: JobOwner, start_worker: StartWorker) -> None:
    start_worker()
    job_id = await owner.enqueue("count_up", steps=2000, pause=0.02)
    await owner.until(job_id, lambda record: record.status == JobStatus.RUNNING)
    assert (await owner.jobs.cancel(owner.tenant_id, job_id)).status == JobStatus.RUNNING
    over = await owner.until_over(job_id)
    assert over.status == JobStatus.CANCELLED


async def test_queued_job_is_cancelled_at_once_and_never_runs(owner: JobOwner, start_worker: StartWorker) -> None:
    job_id = await owner.enqueue("count_up")
    assert (await owner.jobs.cancel(owner.tenant_id, job_id)).status == JobStatus.CANCELLED
    start_worker()
    later = await owner.until_over(await owner.enqueue("count_up"))
    assert later.status == JobStatus.COMPLETED
    assert (await owner.get(job_id)).attempts == 0


async def test_duplicate_messages_are_dropped_while_the_job_is_leased(
    owner: JobOwner, start_worker: StartWorker, redis_url: str
) -> None:
    start_worker()
    start_worker()
    job_id = await owner.enqueue("count_up", steps=20, pause=0.05)
    await owner.until(job_id, lambda record: record.status == JobStatus.RUNNING)
    announcer = BrokerAnnouncer(parse_broker_url(redis_url))
    for _ in range(10):
        assert await announcer.announce(JobSummons(queue=Queue.SEED, tenant_id=owner.tenant_id, job_id=job_id))
    assert await _is_empty(announcer)
    await announcer.close()
    done = await owner.until_over(job_id)
    assert (done.status, done.attempts) == (JobStatus.COMPLETED, 1)


async def test_job_enqueued_without_a_broker_is_done_later(
    owner: JobOwner, tenant: Tenant, start_worker: StartWorker
) -> None:
    nowhere = BrokerAnnouncer(parse_broker_url(f"redis://127.0.0.1:{free_port()}/0"))
    jobs = Jobs(PostgresJobBook(owner.database), nowhere)
    job_id = await jobs.enqueue(tenant.tenant_id, NewJob(queue=Queue.SEED, type="count_up"))
    await nowhere.close()
    start_worker()
    assert (await owner.until_over(job_id)).status == JobStatus.COMPLETED


async def test_job_whose_message_was_lost_is_done_later(
    owner: JobOwner, start_worker: StartWorker, redis_url: str
) -> None:
    job_id = await owner.enqueue("count_up")
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    start_worker()
    assert (await owner.until_over(job_id)).status == JobStatus.COMPLETED


async def test_stopped_worker_hands_its_job_back(owner: JobOwner, start_worker: StartWorker) -> None:
    first = start_worker()
    job_id = await owner.enqueue("count_up", steps=100, pause=0.05)
    await owner.until(job_id, lambda record: record.processed > 0)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    handed_back = await owner.get(job_id)
    assert (handed_back.status, handed_back.attempts) == (JobStatus.QUEUED, 0)
    start_worker()
    done = await owner.until_over(job_id)
    assert (done.status, done.attempts) == (JobStatus.COMPLETED, 1)


async def test_stopped_worker_ends_although_a_handler_does_not(owner: JobOwner, start_worker: StartWorker) -> None:
    worker = start_worker()
    job_id = await owner.enqueue("block", seconds=60)
    await owner.until(job_id, lambda record: record.status == JobStatus.RUNNING)
    worker.send_signal(signal.SIGTERM)
    worker.wait(20)
    # It may have been busy until the end: the lease is what keeps others away, and it lapses.
    assert (await owner.get(job_id)).status == JobStatus.RUNNING


async def test_dedupe_key_holds_while_the_job_is_not_over(owner: JobOwner, start_worker: StartWorker) -> None:
    new = NewJob(queue=Queue.SEED, type="count_up", dedupe_key="one")
    job_id = await owner.jobs.enqueue(owner.tenant_id, new)
    with pytest.raises(Conflict, match=str(job_id)):
        await owner.jobs.enqueue(owner.tenant_id, new)
    start_worker()
    await owner.until_over(job_id)
    await owner.until_over(await owner.jobs.enqueue(owner.tenant_id, new))


async def _is_true(owner: JobOwner, query: LiteralString) -> bool:
    return bool(await owner.rows(query))


async def _is_empty(announcer: BrokerAnnouncer) -> bool:
    async def check() -> bool:
        return await announcer.backlog_count(Queue.SEED) == 0

    await eventually(check)
    return True


async def test_job_outlives_a_moment_without_postgres(
    owner: JobOwner, start_worker: StartWorker, stack: Stack, database_url: str
) -> None:
    start_worker(quick=False)
    job_id = await owner.enqueue("count_up", steps=120, pause=0.05)
    await owner.until(job_id, lambda record: record.processed > 0)
    name = sql.Identifier(urlsplit(database_url).path.strip("/"))
    allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
    async with await psycopg.AsyncConnection.connect(stack.postgres_url, autocommit=True) as server:
        await server.execute(allow.format(name, sql.SQL("false")))
        await server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name.as_string().strip('"'),)
        )
        # Longer than a connection is waited for, shorter than a lease.
        await asyncio.sleep(4)
        await server.execute(allow.format(name, sql.SQL("true")))
    done = await owner.until_over(job_id)
    assert (done.status, done.attempts) == (JobStatus.COMPLETED, 1)


@pytest.mark.parametrize(
    ("result", "stored"), [({"auc": float("nan"), "text": "a\x00b"}, {"auc": None, "text": "a\ufffdb"})]
)
def test_result_is_stored_as_json(result: dict[str, Any], stored: dict[str, Any]) -> None:
    assert _storable(result) == stored


async def test_worker_stops_although_its_broker_is_not_there(start_worker: StartWorker) -> None:
    worker = start_worker(redis_url=f"redis://127.0.0.1:{free_port()}/0", stderr=subprocess.PIPE)
    assert worker.stderr is not None
    while b"Cannot connect" not in worker.stderr.readline():
        assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
