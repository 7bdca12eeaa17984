"""WORKER_INPROCESS=1 and `POST /cron/drain-queues`: jobs are done without a worker tier, and never twice with one."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import httpx
import psutil
import psycopg
import pytest
import redis

from kaireon_application.platform.job import Queue
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.shop import created, flow_config, stock
from tests.api.test_process import connected, environment, log, started, until_gone, until_ready

if TYPE_CHECKING:
    from kaireon_testkit.platform.tenant import Tenant
    from tests.api.conftest import StartWorker

__all__ = ["log"]
SECRET = "s" * 40
CRON = {"X-Cron-Secret": SECRET}
OVER = {"completed", "failed", "cancelled", "dead"}


def variables_of(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    return environment(database_url, redis_url, CRON_SECRET=SECRET, DRAIN_QUEUES_RATE_LIMIT="1000", **more)


def url_of(variables: dict[str, str]) -> str:
    return f"http://127.0.0.1:{variables['API_PORT']}"


async def open_shop(client: httpx.AsyncClient) -> None:
    await stock(client)
    flow = flow_config({"type": "match_creatives"})
    await created(client, "decision-flows", key="all", name="all", draftConfig=flow)
    assert (await client.post("/api/v1/decision-flows/all/publish", json={})).status_code == 200


async def start_run(client: httpx.AsyncClient, count: int, prefix: str = "c") -> str:
    ids = [f"{prefix}{number}" for number in range(count)]
    body = {"customerIds": ids, "decisionFlowKey": "all", "channel": "web", "limit": 1, "async": True}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answer := await client.post("/api/v1/decide", json=body)).status_code != 202:
            await asyncio.sleep(0.05)
    return answer.json()["runId"]


async def look(client: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/runs/{run_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until_over(client: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while (seen := await look(client, run_id))["status"] not in OVER:
            await asyncio.sleep(0.05)
    return seen


async def until_begun(client: httpx.AsyncClient, run_id: str) -> None:
    async with asyncio.timeout(90):
        while (await look(client, run_id))["progress"]["processed"] == 0:
            await asyncio.sleep(0.01)


async def customers_of(client: httpx.AsyncClient, run_id: str) -> list[str]:
    answer = await client.get(f"/api/v1/runs/{run_id}/results", timeout=60)
    assert answer.status_code == 200, answer.text
    return [line.split('"customerId":"', 1)[1].split('"', 1)[0] for line in answer.text.splitlines()]


async def until_beside(pid: int, other_than: int = 0) -> psutil.Process:
    """Return the worker that is a child of an API process."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = [child for child in psutil.Process(pid).children(recursive=True) if is_worker(child)]
            if found and found[0].pid != other_than:
                assert len(found) == 1
                return found[0]
            await asyncio.sleep(0.05)


def is_worker(process: psutil.Process) -> bool:
    try:
        return "kaireon_worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_child_of_the_api_does_the_jobs_and_ends_with_it(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes], workers: str
) -> None:
    variables = variables_of(database_url, redis_url, WORKER_INPROCESS="1", API_WORKERS=workers)
    with started(variables, log) as process:
        await until_ready(url_of(variables))
        async with connected(url_of(variables), tenant.api_keys["admin"]) as client:
            await open_shop(client)
            first = await until_beside(process.pid)
            assert (await until_over(client, await start_run(client, 3)))["status"] == "completed"
            first.kill()
            second = await until_beside(process.pid, first.pid)
            assert (await until_over(client, await start_run(client, 3, "d")))["status"] == "completed"
        # No message was sent for nobody.
        with redis.Redis.from_url(redis_url) as broker:
            assert [broker.llen(queue.value) for queue in Queue] == [0] * len(Queue)
        process.kill()
        await until_gone(second.pid)


async def test_a_stopped_api_hands_its_job_back_and_another_takes_it_at_once(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes]
) -> None:
    one, two = (variables_of(database_url, redis_url, WORKER_INPROCESS=mode) for mode in "10")
    count = 6_000
    with started(one, log) as process, started(two, log):
        await asyncio.gather(until_ready(url_of(one)), until_ready(url_of(two)))
        async with connected(url_of(two), tenant.api_keys["admin"]) as client:
            await open_shop(client)
            run_id = await start_run(client, count)
            await until_begun(client, run_id)
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 30)
            job = (await client.get(f"/api/v1/jobs/{(await look(client, run_id))['jobId']}")).json()
            assert (job["status"], job["attempts"]) == ("queued", 0)
            drained = (await client.post("/api/v1/cron/drain-queues", headers=CRON, timeout=90)).json()
            assert (drained["processed"], drained["completed"]) == (1, 1)
            found = await customers_of(client, run_id)
    assert found == [f"c{number}" for number in range(count)]


async def test_a_drain_does_what_is_due_and_takes_the_messages(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes]
) -> None:
    variables = variables_of(database_url, redis_url)
    with started(variables, log), redis.Redis.from_url(redis_url) as broker:
        await until_ready(url_of(variables))
        async with connected(url_of(variables), tenant.api_keys["admin"]) as client:
            await open_shop(client)
            runs = [await start_run(client, 5, prefix) for prefix in "ab"]
            assert broker.llen("batch-jobs") == 2
            broker.lpush("seed-jobs", "no message")
            # Two who ask at once are answered with one drain.
            drains = [client.post("/api/v1/cron/drain-queues", headers=CRON, timeout=90) for _ in range(2)]
            first, second = await asyncio.gather(*drains)
            assert [(await look(client, run))["status"] for run in runs] == ["completed"] * 2
            again = await client.post("/api/v1/cron/drain-queues", headers=CRON, timeout=90)
            dead = (await client.get("/api/v1/admin/dlq?topic=seed-jobs")).json()
        left = [broker.llen(queue.value) for queue in Queue]
    done = {"ok": True, "processed": 2, "completed": 2, "failed": 0, "dead": 0, "cancelled": 0, "retried": 0}
    assert (first.status_code, first.json()) == (200, {**done, "isEmpty": True})
    assert second.json() == first.json()
    assert again.json() == {**done, "processed": 0, "completed": 0, "isEmpty": True}
    assert left == [0] * len(Queue)
    assert dead["totalEvents"] == 1


async def test_three_ways_of_consuming_at_once_decide_every_customer_once(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes], start_worker: StartWorker
) -> None:
    one, two = (variables_of(database_url, redis_url, WORKER_INPROCESS=mode) for mode in "10")
    count, prefixes = 3_000, "abcd"
    with ExitStack() as stack:
        beside = stack.enter_context(started(one, log))
        stack.enter_context(started(two, log))
        await asyncio.gather(until_ready(url_of(one)), until_ready(url_of(two)))
        workers = [start_worker(), start_worker()]
        async with (
            connected(url_of(one), tenant.api_keys["admin"]) as first,
            connected(url_of(two), tenant.api_keys["admin"]) as second,
        ):
            await open_shop(first)
            runs = [
                await start_run(client, count, prefix)
                for client, prefix in zip((first, second) * 2, prefixes, strict=True)
            ]
            draining = asyncio.create_task(second.post("/api/v1/cron/drain-queues", headers=CRON, timeout=120))
            await until_begun(first, runs[0])
            workers[0].kill()
            (await until_beside(beside.pid)).kill()
            seen = await asyncio.gather(*(until_over(second, run) for run in runs))
            assert (await draining).status_code == 200
            found = [await customers_of(second, run) for run in runs]
    assert [one["status"] for one in seen] == ["completed"] * len(runs)
    assert found == [[f"{prefix}{number}" for number in range(count)] for prefix in prefixes]
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute(
            "SELECT count(*), count(DISTINCT key) FROM outbox_events WHERE type = 'decision.made.v1'"
        )
        assert await cursor.fetchone() == (count * len(prefixes),) * 2
