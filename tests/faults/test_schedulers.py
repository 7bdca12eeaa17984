"""Several schedulers start the same job at once, and one that holds the lease is killed: it takes effect once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from kaireon_storage.scheduled_jobs import JOBS
from tests.api.conftest import api, app, settings, shop
from tests.api.shop import Shop
from tests.api.test_approvals import ask
from tests.api.test_campaigns import define, members
from tests.api.test_gitops import DOCUMENTS, apply
from tests.cron.test_cleanup import run_job
from tests.faults.patience import PATIENCE_SECONDS, eventually

__all__ = ["api", "app", "members", "settings", "shop"]
pytestmark = pytest.mark.faults

# So many start a job; five that of each minute.
AT_ONCE = {**dict.fromkeys(JOBS, 2), "flow-scheduler-tick": 5}


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a run says it has done, and what its doing leaves behind, as one number."""

    count: str
    left: LiteralString
    # What is done anew by each run, rather than once.
    is_each_time: bool = False


EFFECTS = {
    "cleanup": Effect(count="interactions", left="SELECT count(*) FROM gone_interactions"),
    "approvals-expire": Effect(
        count="expiredApprovals", left="SELECT count(*) FROM audit_logs WHERE action = 'expire'"
    ),
    # The same number again, in the same rows.
    "engagement-health-recompute": Effect(
        count="customers", left="SELECT count(*) FROM engagement_health", is_each_time=True
    ),
    # A note is what one look has found.
    "gitops-drift-check": Effect(
        count="drifted",
        left="SELECT count(*) FROM audit_logs WHERE action = 'gitops_drift_detected'",
        is_each_time=True,
    ),
    "flow-scheduler-tick": Effect(count="startedRuns", left="SELECT count(*) FROM decision_runs"),
    "scheduled-retrains": Effect(count="queued", left="SELECT count(*) FROM jobs WHERE type = 'train_model'"),
    "outbox-reaper": Effect(
        count="releasedEvents",
        left="SELECT count(*) FROM outbox_events WHERE key = 'stuck' AND status = 'pending'",
    ),
}


def test_every_scheduled_job_is_here() -> None:
    assert EFFECTS.keys() == JOBS.keys()


@pytest.fixture
async def due(members: Shop, database_url: str) -> Shop:
    """A tenant in which every scheduled job finds exactly one thing to do."""
    shop, an_hour_ago = members, datetime.now(UTC) - timedelta(hours=1)
    half_past = an_hour_ago + timedelta(minutes=30)
    fields = [{"name": "id", "dataType": "integer", "isPrimaryKey": True}, {"name": "y", "dataType": "varchar"}]
    await shop.create("schemas", name="bank", key="bank", fields=fields)
    await define(shop, key="daily", scheduleCron=f"{half_past.minute} {half_past.hour} * * *")
    await shop.create(
        "algorithm-models",
        key="nightly",
        name="nightly",
        modelType="bayesian",
        autoLearn=True,
        learnMode="scheduled",
        targetSchemaKey="bank",
        targetField="y",
        predictors=[{"field": "id"}],
    )
    await ask(shop.api.editor, action="delete", entityId="gold")
    await apply(shop.api, [document for document in DOCUMENTS if document["kind"] == "category"])
    await shop.api.editor.put("/api/v1/categories/cards", json={"name": "not as applied"})
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        for statement in _MAKE_DUE:
            await owner.execute(statement, {"tenant_id": shop.tenant_id, "at": an_hour_ago})
    return shop


_MAKE_DUE: tuple[LiteralString, ...] = (
    "UPDATE entities SET updated_at = %(at)s WHERE kind = 'run'",
    "UPDATE approvals SET expires_at = %(at)s",
    (
        "INSERT INTO interactions (tenant_id, id, occurred_at, customer_id, kind)"
        " VALUES (%(tenant_id)s, gen_random_uuid(), now(), 'engaged', 'outcome')"
    ),
    (
        "INSERT INTO interactions (tenant_id, id, occurred_at, customer_id, kind)"
        " VALUES (%(tenant_id)s, gen_random_uuid(), now() - interval '4000 days', 'forgotten', 'outcome')"
    ),
    (
        "INSERT INTO outbox_events (id, tenant_id, type, key, payload, status, created_at)"
        " VALUES (gen_random_uuid(), %(tenant_id)s, 'decision.made.v1', 'stuck', '{}', 'processing',"
        " now() - interval '1 day')"
    ),
    # Counts each deletion, those that come twice too.
    "CREATE TABLE gone_interactions (id uuid)",
    "GRANT ALL ON gone_interactions TO kaireon_app, kaireon_system",
    (
        "CREATE FUNCTION note_gone() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN INSERT INTO public.gone_interactions VALUES (old.id); RETURN old; END $$"
    ),
    "CREATE TRIGGER note_gone BEFORE DELETE ON interactions FOR EACH ROW EXECUTE FUNCTION note_gone()",
)


async def _left(database_url: str, job: str) -> int:
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        row = await (await owner.execute(EFFECTS[job].left)).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("job", JOBS)
async def test_several_processes_at_the_same_moment(job: str, due: Shop, database_url: str) -> None:
    outcomes = await asyncio.gather(*(run_job(database_url, job) for _ in range(AT_ONCE[job])))
    assert [(code, line["ok"]) for code, line in outcomes] == [(0, True)] * AT_ONCE[job], outcomes
    done = [line for _, line in outcomes if not line.get("skipped")]
    assert done, "somebody must have done it"
    _require_once(job, [line[EFFECTS[job].count] for line in done], await _left(database_url, job))


def _require_once(job: str, counts: list[int], left: int) -> None:
    if not EFFECTS[job].is_each_time:
        assert (sorted(counts, reverse=True), left) == ([1, *[0] * (len(counts) - 1)], 1)
    elif job == "gitops-drift-check":
        assert (counts, left) == ([1] * len(counts), len(counts))
    else:
        assert (set(counts), left) == ({counts[0]}, counts[0])


async def test_a_holder_that_is_killed_is_followed_by_one_other(due: Shop, database_url: str) -> None:
    async with _holding(database_url) as holders:
        # As long as they hold, nobody has done anything.
        assert {job: await _left(database_url, job) for job in JOBS} == dict.fromkeys(JOBS, 0)
        for holder in holders.values():
            holder.kill()
            await holder.wait()

    async def are_free() -> bool:
        return not await _leased(database_url)

    await eventually(are_free)
    for job in JOBS:
        outcomes = await asyncio.gather(*(run_job(database_url, job) for _ in range(2)))
        assert [(code, line["ok"]) for code, line in outcomes] == [(0, True)] * 2, outcomes
        done = [line for _, line in outcomes if not line.get("skipped")]
        assert done, "somebody must have taken over"
        _require_once(job, [line[EFFECTS[job].count] for line in done], await _left(database_url, job))
    assert await are_free()


@asynccontextmanager
async def _holding(database_url: str) -> AsyncGenerator[dict[str, asyncio.subprocess.Process]]:
    """Give a process of each job that has its lease and stands still before it has done anything."""
    holders: dict[str, asyncio.subprocess.Process] = {}
    async with await psycopg.AsyncConnection.connect(database_url) as blocker:
        await _lock_everything(blocker)
        try:
            for job in JOBS:
                holders[job] = await _holder(job, database_url)
            yield holders
        finally:
            for holder in holders.values():
                with suppress(ProcessLookupError):
                    holder.kill()
                await holder.wait()


async def _lock_everything(blocker: psycopg.AsyncConnection) -> None:
    """Let nobody write to any table but that of the leases."""
    cursor = await blocker.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        " AND relname <> 'schedule_leases'"
    )
    names = [name for (name,) in await cursor.fetchall()]
    await blocker.execute(
        sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.SQL(", ").join(map(sql.Identifier, names)))
    )


async def _holder(job: str, database_url: str) -> asyncio.subprocess.Process:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "kaireon_cron", job, env={**os.environ, "DATABASE_URL": database_url},
                stdout=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            while process.returncode is None and job not in await _leased(database_url):
                await asyncio.sleep(0.01)
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGSTOP)
                if job in await _leased(database_url):
                    return process
                # It was too quick, or waited too long: another one.
                process.kill()
            await process.wait()


async def _leased(database_url: str) -> set[str]:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT name FROM schedule_leases WHERE leased_until > clock_timestamp()")
        return {name for (name,) in await cursor.fetchall()}
