"""The broker: where it is, and what happens while it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kaireon_application.platform.job import JobStatus, Queue
from kaireon_application.platform.jobs import Jobs, JobSummons, NewJob
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_testkit.native.redis_servers import RedisServer, redis_cluster
from tests.worker.conftest import JobOwner, StartWorker

_MINE = {"master_name": "mine", "sentinel_kwargs": {"protocol": 2}}


@pytest.mark.parametrize(
    ("url", "broker_url", "options"),
    [
        ("redis://:pw@h:1/2", "redis://:pw@h:1/2", {}),
        ("rediss://h:1", "rediss://h:1", {}),
        (
            "sentinel://:pw@a:1;sentinel://:pw@b:2/3?master_name=mine",
            "sentinel://:pw@a:1/3;sentinel://:pw@b:2/3",
            _MINE,
        ),
        ("sentinel://a:1;b:2/0?master_name=mine", "sentinel://a:1/0;sentinel://b:2/0", _MINE),
        ("redis+sentinel://:pw@a:1,b:2/mine/3", "sentinel://:pw@a:1/3;sentinel://:pw@b:2/3", _MINE),
        ("redis+sentinel://a:1/mine", "sentinel://a:1/0", _MINE),
    ],
)
def test_broker_url_names_an_address(url: str, broker_url: str, options: dict[str, Any]) -> None:
    address = parse_broker_url(url)
    assert (address.url, address.options) == (broker_url, options)


def test_sentinels_without_a_master_are_refused() -> None:
    with pytest.raises(ValueError, match="master_name"):
        parse_broker_url("sentinel://a:1")


async def test_worker_goes_on_after_the_broker_was_gone(
    owner: JobOwner, start_worker: StartWorker, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    announcer = BrokerAnnouncer(parse_broker_url(server.url))
    jobs = Jobs(PostgresJobBook(owner.database), announcer)
    try:
        start_worker(redis_url=server.url)
        early_id = await jobs.enqueue(owner.tenant_id, NewJob(queue=Queue.SEED, type="count_up"))
        server.start()
        assert (await owner.until_over(early_id)).status == JobStatus.COMPLETED
        long_id = await jobs.enqueue(
            owner.tenant_id, NewJob(queue=Queue.SEED, type="count_up", payload={"steps": 80, "pause": 0.05})
        )
        await owner.until(long_id, lambda record: record.processed > 0)
        server.kill()
        lost_id = await jobs.enqueue(owner.tenant_id, NewJob(queue=Queue.SEED, type="count_up"))
        # What runs goes on without a broker.
        assert (await owner.until_over(long_id)).attempts == 1
        server.start()
        assert (await owner.until_over(lost_id)).status == JobStatus.COMPLETED
    finally:
        await announcer.close()
        server.kill()


async def test_announcing_to_a_silent_broker_takes_no_more_than_a_moment(owner: JobOwner) -> None:
    announcer = BrokerAnnouncer(parse_broker_url("redis://10.255.255.1:6379/0"))
    summons = JobSummons(queue=Queue.SEED, tenant_id=owner.tenant_id, job_id=owner.tenant_id)
    assert not await announcer.announce(summons)
    assert await announcer.backlog_count(Queue.SEED) is None
    await announcer.close()


def run_worker(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real worker until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "kaireon_worker"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_cluster_broker_is_refused_in_one_line(database_url: str, tmp_path: Path) -> None:
    with redis_cluster(tmp_path, 1) as [node]:
        ended = run_worker(DATABASE_URL=database_url, CELERY_BROKER_URL=node.url)
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "CELERY_BROKER_URL" in ended.stderr


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({"DATABASE_URL": "mysql://x"}, {"DATABASE_URL"}),
        ({"WORKER_CONCURRENCY": "0", "ML_WORKER_URL": "ftp://x"}, {"WORKER_CONCURRENCY", "ML_WORKER_URL"}),
        ({"CELERY_BROKER_URL": "redis+cluster://h:1"}, {"CELERY_BROKER_URL"}),
        ({"CELERY_BROKER_URL": "sentinel://h:1"}, {"CELERY_BROKER_URL"}),
        ({"REDIS_URL": "redis+cluster://h:1"}, {"CELERY_BROKER_URL"}),
        ({"REDIS_URL": "amqp://h:1"}, {"REDIS_URL"}),
    ],
)
def test_bad_settings_are_named_all_at_once(environment: dict[str, str], names: set[str]) -> None:
    ended = run_worker(**{"DATABASE_URL": "postgresql://127.0.0.1/x", **environment})
    assert ended.returncode == 2
    assert {line.split()[0].rstrip(":") for line in ended.stderr.strip().splitlines()} == names
