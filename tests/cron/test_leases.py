"""One run of a job at a time: against another process, against an HTTP call, and after a run that was killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from kaireon_api.app import build_app, opened
from kaireon_api.settings import Settings
from kaireon_application.errors import Unavailable
from kaireon_application.platform.scheduled_job import JobOutcome, ScheduleLease, run_alone
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.schedule_leases import PostgresScheduleLeases
from kaireon_testkit.patience import PATIENCE_SECONDS
from kaireon_testkit.platform.tenant import TEST_PEPPER, create_tenant
from tests.cron.test_cleanup import run_job

SECRET = "a-secret-of-schedulers"
PATH = "/api/v1/cron/cleanup"


@asynccontextmanager
async def standing_still(database_url: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Give a run of the clean-up that has its lease and is stopped in the middle; it goes on afterwards."""
    async with await psycopg.AsyncConnection.connect(database_url) as blocker:
        await blocker.execute("LOCK TABLE tenants")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "kaireon_cron",
            "cleanup",
            env={**os.environ, "DATABASE_URL": database_url},
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await _is_leased(database_url):
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _is_leased(database_url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT FROM schedule_leases WHERE leased_until > clock_timestamp()")
        return await cursor.fetchone() is not None


@asynccontextmanager
async def _client(database_url: str, redis_url: str, secret: str | None = SECRET) -> AsyncGenerator[httpx.AsyncClient]:
    values: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "api_key_pepper": TEST_PEPPER,
        "worker_inprocess": False,
        "cron_secret": secret,
    }
    app = build_app(Settings.model_validate(values))
    async with (
        opened(app.services),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://kaireon.test") as client,
    ):
        yield client


async def test_a_second_run_is_skipped_whoever_starts_it(database_url: str, redis_url: str) -> None:
    async with standing_still(database_url) as first:
        code, line = await run_job(database_url)
        assert (code, line) == (0, {"job": "cleanup", "ok": True, "skipped": True, "failures": []})
        async with _client(database_url, redis_url) as client:
            answer = await client.post(PATH, headers={"X-Cron-Secret": SECRET})
        assert (answer.status_code, answer.json()["skipped"], answer.json()["counts"]) == (200, True, {})
        first.send_signal(signal.SIGCONT)
        output, _ = await first.communicate()
    assert json.loads(output)["ok"] is True
    assert not await _is_leased(database_url)


async def test_a_run_that_was_killed_leaves_a_lease_that_lapses(database_url: str) -> None:
    async with standing_still(database_url) as first:
        first.kill()
    assert (await run_job(database_url))[1]["skipped"] is True
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE schedule_leases SET leased_until = leased_until - interval '30 seconds'")
    code, line = await run_job(database_url)
    assert code == 0
    assert "skipped" not in line


async def test_work_whose_lease_was_taken_is_cancelled(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaireon_application.platform.scheduled_job._HEARTBEAT_SECONDS", 0.01)
    leases, ended = PostgresScheduleLeases(database), asyncio.Event()

    async def work() -> JobOutcome:
        async with database.system_transaction() as connection:
            await connection.execute("UPDATE schedule_leases SET token = %s", (uuid4(),))
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return JobOutcome()

    with pytest.raises(Unavailable):
        await run_alone(leases, "tick", work)
    assert ended.is_set()
    # What the other run holds, this one's end does not free.
    assert not await leases.take(ScheduleLease(name="tick", token=uuid4()), 1)


CREDENTIALS: list[tuple[str | None, dict[str, str], int]] = [
    (SECRET, {"Authorization": f"Bearer {SECRET}"}, 200),
    (SECRET, {"X-Cron-Secret": SECRET}, 200),
    (SECRET, {"X-Cron-Secret": SECRET + "x"}, 401),
    (SECRET, {"X-Cron-Secret": SECRET[:-1]}, 401),
    (SECRET, {"X-Cron-Secret": ""}, 401),
    (SECRET, {}, 401),
    (None, {}, 401),
    (None, {"X-Cron-Secret": ""}, 401),
    (None, {"X-Cron-Secret": "None"}, 401),
]


@pytest.mark.parametrize(("secret", "headers", "status"), CREDENTIALS)
async def test_only_who_knows_the_secret_may_run_a_job(
    database_url: str, redis_url: str, secret: str | None, headers: dict[str, str], status: int
) -> None:
    async with _client(database_url, redis_url, secret) as client:
        answers = [await client.post(PATH, headers=headers), await client.get(PATH, headers=headers)]
        other = await client.get("/api/v1/cron/outbox-reaper", headers=headers)
    assert [answer.status_code for answer in answers] == [status, status]
    assert other.status_code in {401, 405}


async def test_an_api_key_runs_no_job(database_url: str, redis_url: str, database: Database) -> None:
    tenant = await create_tenant(database)
    async with _client(database_url, redis_url) as client:
        answer = await client.post(PATH, headers={"X-API-Key": tenant.api_keys["admin"]})
    assert answer.status_code == 401


async def test_a_job_that_fails_says_so(database_url: str, redis_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("ALTER FUNCTION kaireon_drop_months RENAME TO gone")
        await connection.execute("INSERT INTO tenants (tenant_id, key, name) VALUES (%s, 'x', 'x')", (uuid4(),))
    async with _client(database_url, redis_url) as client:
        answer = await client.post(PATH, headers={"X-Cron-Secret": SECRET})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"][0]["path"]) == (500, "CRON_JOB_FAILED", "cleanup")
