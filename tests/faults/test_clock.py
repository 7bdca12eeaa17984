"""Clocks that are set an hour back or forward: nothing takes effect twice, and nothing waits for that hour.

The database's clock is moved the other way round: every instant that is stored moves, which to the product is the same.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from kaireon_api.settings import Settings
from kaireon_application.engagement.trigger_run import start_due_runs
from kaireon_application.platform.job import JobStatus
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.runs import PostgresRuns
from kaireon_testkit.platform.tenant import TEST_PEPPER
from tests.api.conftest import api, app, shop
from tests.api.shop import Shop
from tests.api.test_campaigns import define, members
from tests.cron.test_cleanup import run_job
from tests.cron.test_leases import standing_still
from tests.faults.patience import PATIENCE_SECONDS, eventually
from tests.outbox_publisher.conftest import (
    OutboxTable,
    StartPublisher,
    StreamReader,
    outbox_table,
    read_stream,
    start_publisher,
    stream,
    tenant_id,
)
from tests.worker.conftest import JobOwner, StartWorker, effect_tables, owner, start_worker

__all__ = [
    "api",
    "app",
    "effect_tables",
    "members",
    "outbox_table",
    "owner",
    "read_stream",
    "shop",
    "start_publisher",
    "start_worker",
    "stream",
    "tenant_id",
]
pytestmark = pytest.mark.faults

HOUR = timedelta(hours=1)
STEPS = [pytest.param(-HOUR, id="back"), pytest.param(HOUR, id="forward")]


def set_database_clock(database_url: str, table: str, step: timedelta) -> None:
    """Set the clock by which a table's instants are read."""
    with psycopg.connect(database_url) as owner:
        rows = owner.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = %s AND data_type = 'timestamp with time zone'",
            (table,),
        ).fetchall()
        moved = sql.SQL(", ").join(
            sql.SQL("{0} = {0} - {1}").format(sql.Identifier(name), sql.Literal(step)) for (name,) in rows
        )
        owner.execute(sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), moved))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.usefixtures("effect_tables")
async def test_a_job_whose_worker_was_lost_is_taken_over(
    owner: JobOwner, start_worker: StartWorker, database_url: str, step: timedelta
) -> None:
    first = start_worker(quick=False)
    job_id = await owner.enqueue("write_effect", slowAttempts=1)
    await owner.until(job_id, lambda record: record.status == JobStatus.RUNNING, PATIENCE_SECONDS)
    first.send_signal(signal.SIGKILL)
    first.wait()
    queued_id = await owner.enqueue("count_up")
    set_database_clock(database_url, "jobs", step)
    start_worker(quick=False)
    done = await owner.until_over(job_id, PATIENCE_SECONDS)
    assert (done.status, done.attempts) == (JobStatus.COMPLETED, 2)
    assert len(await owner.rows("SELECT 1 FROM effects WHERE job_id = %s", job_id)) == 1
    # What was waiting does not wait for the hour either.
    assert (await owner.until_over(queued_id, PATIENCE_SECONDS)).attempts == 1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.usefixtures("effect_tables")
async def test_a_job_that_runs_meanwhile_takes_effect_once(
    owner: JobOwner, start_worker: StartWorker, database_url: str, step: timedelta
) -> None:
    for _ in range(2):
        start_worker(quick=False)
    job_id = await owner.enqueue("write_effect", slowAttempts=1, dawdle=10)
    await owner.until(job_id, lambda record: record.status == JobStatus.RUNNING, PATIENCE_SECONDS)
    set_database_clock(database_url, "jobs", step)
    done = await owner.until_over(job_id, PATIENCE_SECONDS)
    # A lease that looks lapsed may be taken: whoever has lost it writes nothing.
    assert (done.status, done.attempts in {1, 2}) == (JobStatus.COMPLETED, True)
    assert len(await owner.rows("SELECT 1 FROM effects WHERE job_id = %s", job_id)) == 1


@pytest.mark.parametrize("step", STEPS)
async def test_a_lost_run_of_a_scheduled_job_is_followed_by_another(database_url: str, step: timedelta) -> None:
    async with standing_still(database_url) as first:
        first.kill()
    set_database_clock(database_url, "schedule_leases", step)
    # The lease looks lapsed, or longer than any: nobody waits for it.
    code, line = await run_job(database_url)
    assert (code, line["ok"], "skipped" in line) == (0, True, False)


@pytest.mark.parametrize("step", STEPS)
async def test_an_instant_of_a_schedule_has_one_run(members: Shop, step: timedelta) -> None:
    """The clock of the host that looks is set, and set right again."""
    shop, now = members, datetime.now(UTC)
    await define(shop, key="hourly", scheduleCron=f"{now.minute} * * * *")
    await shop.run("UPDATE entities SET updated_at = %(at)s WHERE kind = 'run'", at=now - timedelta(hours=3))
    clock = [now, now + step, now + step + timedelta(minutes=1), now, now + timedelta(minutes=1), now + step]
    for at in clock:
        await asyncio.gather(*(_look(shop, at) for _ in range(3)))
    due = [run["dueAt"] for run in (await shop.get("runs/hourly/executions"))["data"]]
    # An hour too early it is run once, and not again when its time comes.
    assert len(due) == len(set(due)) == (2 if step > timedelta() else 1)
    await _look(shop, now + HOUR)
    assert len((await shop.get("runs/hourly/executions"))["data"]) == 2


async def _look(shop: Shop, now: datetime) -> None:
    report = await start_due_runs(PostgresEntities(shop.database), PostgresRuns(shop.database), [shop.tenant_id], now)
    assert report.failures == ()


class HostClock:
    """The clock of the API's host: noon, so that no step reaches another day."""

    def __init__(self) -> None:
        self.noon = datetime.now(UTC).replace(hour=12, minute=0, second=0)
        self.offset = timedelta()

    def now_ms(self) -> int:
        return int((self.noon + self.offset).timestamp() * 1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HostClock:
    """The clock that the engine is given."""
    clock = HostClock()
    for module in ("kaireon_storage.decision_engine", "kaireon_api.decisioning.engine"):
        monkeypatch.setattr(f"{module}.now_ms", clock.now_ms)
    return clock


@pytest.fixture
def settings(database_url: str, redis_url: str, clock: HostClock) -> Settings:
    """The application is built with that clock."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "api_key_pepper": TEST_PEPPER,
        "worker_inprocess": False,
    }
    return Settings.model_validate(values)


@pytest.mark.parametrize("step", STEPS)
async def test_caps_cooldowns_and_keys_hold_when_a_host_s_clock_is_set(
    shop: Shop, clock: HostClock, step: timedelta
) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 2})

    async def shown() -> int:
        return (await shop.recommend("c1", channel="web", limit=1))["count"]

    first = await shop.recommend("c1", channel="web", limit=1)
    named = {"recommendationId": first["recommendationId"], "rank": 1}
    assert (await shop.respond("one", **named)).status_code == 201
    clock.offset = step
    assert await shown() == 1
    replayed = await shop.respond("one", **named)
    assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (200, "true")
    # What was decided by the other clock can be answered by this one.
    assert (await shop.respond("two", **named)).status_code == 201
    assert [await shown(), await shown()] == [0, 0]
    clock.offset = timedelta()
    assert [await shown(), await shown()] == [0, 0]
    assert (await shop.respond("two", **named)).status_code == 200
    kept = await shop.rows(
        "SELECT outcome_key, count(*) AS count FROM interactions WHERE tenant_id = %(tenant_id)s GROUP BY outcome_key"
    )
    assert {row["outcome_key"]: row["count"] for row in kept} == {"impression": 2, "click": 2}


@pytest.mark.parametrize("step", STEPS)
async def test_events_are_relayed_in_their_order(
    outbox_table: OutboxTable,
    stream: StreamReader,
    tenant_id: Any,
    start_publisher: StartPublisher,
    database_url: str,
    step: timedelta,
) -> None:
    start_publisher()
    for _ in range(3):
        await outbox_table.insert_backlog(500, customers=20, tenant_id=tenant_id)
        set_database_clock(database_url, "outbox_events", step)
    await eventually(_all_sent(outbox_table))
    assert await outbox_table.dead() == {}
    assert stream.first_ids_by_key() == await outbox_table.ids_by_key()
    assert len(stream.ids()) == 1500, "nothing is relayed twice"


def _all_sent(table: OutboxTable) -> Callable[[], Any]:
    async def holds() -> bool:
        return set(await table.statuses()) == {"sent"}

    return holds
