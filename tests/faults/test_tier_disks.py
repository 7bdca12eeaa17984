"""Tiers whose own disk is full: what they write there, what becomes of it, and what goes on without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import httpx
import pytest
from redis import Redis

from kaireon_testkit.native.redis_servers import RedisServer
from tests.api.shop import stock
from tests.api.test_process import environment, started, until_ready
from tests.faults.disk import limit_files
from tests.faults.patience import PATIENCE_SECONDS, eventually
from tests.outbox_publisher.conftest import (
    OutboxTable,
    StartPublisher,
    StreamReader,
    outbox_table,
    private_redis,
    start_publisher,
    tenant_id,
)

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_testkit.platform.tenant import Tenant

__all__ = ["outbox_table", "private_redis", "start_publisher", "tenant_id"]
pytestmark = pytest.mark.faults
_OVER = {"completed", "failed", "cancelled"}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[bytes]]:
    """A log file of a process, which is limited as its other files are."""
    with (tmp_path / "log").open("wb") as file:
        yield file


async def test_an_upload_that_finds_no_room_stores_nothing(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes]
) -> None:
    row = {"action": "gold", "selectionProbability": 0.5, "reward": 1, "timestamp": "2026-01-01T00:00:00Z"}
    rows = [{**row, "decisionId": str(number), "attributes": {"filler": "x" * 900}} for number in range(8000)]
    large, small = (_ndjson(rows[:count]) for count in (8000, 10))
    variables = environment(database_url, redis_url)
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    with started(variables, log) as process:
        await until_ready(url)
        async with _connected(url, tenant) as client:
            # What is larger than memory is given to it waits on the disk until all of it is there.
            limit_files(process.pid, 5 * 1024 * 1024)
            for _ in range(2):
                answer = await _upload(client, large)
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE"), answer.text
                assert answer.headers["retry-after"]
            assert (await client.get("/api/v1/decision-logs")).json()["data"] == []
            assert (await _upload(client, small)).status_code == 201
            limit_files(process.pid)
            stored = await _upload(client, large)
            assert (stored.status_code, stored.json()["rows"]) == (201, 8000)
            assert process.poll() is None


def _connected(url: str, tenant: Tenant) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {tenant.api_keys['admin']}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_SECONDS)


def _ndjson(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def _upload(client: httpx.AsyncClient, content: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson"}
    return await client.post("/api/v1/decision-logs", content=content, headers=headers)


async def test_tiers_that_may_write_no_file_at_all_do_their_work(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes]
) -> None:
    """Logs are lost, nothing else: whatever must last is in Postgres."""
    variables = environment(database_url, redis_url)
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    worker = subprocess.Popen([sys.executable, "-m", "kaireon_worker"], env=variables, stderr=log)  # noqa: ASYNC220 - returns at once
    try:
        with started(variables, log) as process:
            await until_ready(url)
            for pid in (process.pid, worker.pid):
                limit_files(pid, 0)
            async with _connected(url, tenant) as client:
                await stock(client)
                ids = [f"c{number}" for number in range(1500)]
                run = await client.post("/api/v1/decide", json={"customerIds": ids, "channel": "web"})
                assert run.status_code == 202, run.text
                assert (await _over(client, run.json()["statusUrl"]))["status"] == "completed"
                found = await client.get(f"{run.json()['statusUrl']}/results")
                assert [json.loads(line)["customerId"] for line in found.text.splitlines()] == ids
                parquet = await client.get(f"{run.json()['statusUrl']}/results", params={"format": "parquet"})
                assert (parquet.status_code, parquet.content[-4:]) == (200, b"PAR1")
                await _export(client)
            assert process.poll() is None
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()


async def _export(client: httpx.AsyncClient) -> None:
    """Ask for all that is held about a customer, and get it."""
    asked = await client.post("/api/v1/dsar", json={"requestType": "export", "subjectId": "c1"})
    assert asked.status_code == 202, asked.text
    assert (await _over(client, asked.json()["statusUrl"]))["status"] == "completed"
    export = await client.get(f"/api/v1/dsar/{asked.json()['requestId']}/download")
    assert (export.status_code, export.json()["subjectId"]) == (200, "c1")


async def _over(client: httpx.AsyncClient, status_url: str) -> dict[str, Any]:
    async def is_over() -> bool:
        return (await client.get(status_url)).json()["status"] in _OVER

    await eventually(is_over)
    return (await client.get(status_url)).json()


async def test_a_stream_that_cannot_be_kept_on_disk_takes_nothing_and_loses_nothing(
    private_redis: RedisServer,
    outbox_table: OutboxTable,
    tenant_id: UUID,
    start_publisher: StartPublisher,
) -> None:
    private_redis.start("--appendfsync", "everysec")
    stream = StreamReader(private_redis.url)
    await outbox_table.insert_backlog(100, customers=10, tenant_id=tenant_id)
    publisher = start_publisher(REDIS_URL=private_redis.url, OUTBOX_BATCH_SIZE="100")
    await eventually(lambda: len(stream.ids()) == 100)
    with Redis.from_url(private_redis.url, decode_responses=True, retry=None) as client:
        told: Any = client.info()
        limit_files(told["process_id"], 4096)
        await outbox_table.insert_backlog(2000, customers=10, tenant_id=tenant_id)
        # Twice as often as a single event may be refused before it is given up.
        await eventually(lambda: _refusals(client) >= 10)
        assert publisher.poll() is None
        assert await outbox_table.dead() == {}
        limit_files(told["process_id"])
    await eventually(lambda: _is_drained(outbox_table, tenant_id))
    assert await outbox_table.dead() == {}
    ids = await outbox_table.ids_by_key()
    assert stream.first_ids_by_key() == ids
    # What it said it had is there after a crash, too.
    private_redis.kill()
    private_redis.start("--appendfsync", "everysec")
    assert stream.first_ids_by_key() == ids
    stream.close()


async def _is_drained(table: OutboxTable, tenant_id: UUID) -> bool:
    return await table.pending(tenant_id) == 0


def _refusals(client: Redis) -> int:
    errors: Any = client.info("errorstats")
    return errors.get("errorstat_MISCONF", {"count": 0})["count"]
