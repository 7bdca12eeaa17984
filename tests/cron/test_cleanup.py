"""The clean-up removes what has had its time, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

NONE = UUID(int=0)


class Tables:
    """The tables as their owner sees them."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def add_tenant(self, **settings: object) -> UUID:
        """Add a tenant with these settings."""
        tenant_id = uuid4()
        self.run(
            "INSERT INTO tenants (tenant_id, key, name, settings) VALUES (%s, %s, 'x', %s)",
            tenant_id,
            f"tenant-{tenant_id.hex[:8]}",
            Jsonb(settings),
        )
        return tenant_id

    def add_interaction(self, tenant_id: UUID, at: datetime) -> UUID:
        """Add an interaction of that instant."""
        interaction_id = uuid4()
        self.run(
            "INSERT INTO interactions (tenant_id, id, occurred_at, customer_id, kind)"
            " VALUES (%s, %s, %s, 'c', 'outcome')",
            tenant_id,
            interaction_id,
            at,
        )
        return interaction_id

    def add_trace(self, tenant_id: UUID, at: datetime, legend: bytes, snapshot: bytes) -> None:
        """Add a trace of that instant that refers to these."""
        self.run(
            "INSERT INTO decision_traces (tenant_id, recommendation_id, decided_at, customer_id, flow_id, flow_version,"
            " legend_hash, snapshot_hash, content) VALUES (%s, %s, %s, 'c', %s, 1, %s, %s, '')",
            tenant_id,
            uuid4(),
            at,
            uuid4(),
            legend,
            snapshot,
        )

    def add_batch_run(self, tenant_id: UUID, at: datetime, status: str) -> UUID:
        """Add a batch run of that instant with one result."""
        run_id = uuid4()
        self.run(
            "INSERT INTO jobs (tenant_id, id, queue, type, status) VALUES (%s, %s, 'batch-jobs', 'decide_run', %s)",
            tenant_id,
            run_id,
            status,
        )
        self.run(
            "INSERT INTO decision_runs (tenant_id, id, request, total, created_at) VALUES (%s, %s, '{}', 1, %s)",
            tenant_id,
            run_id,
            at,
        )
        self.run(
            "INSERT INTO decision_run_results (tenant_id, run_id, place, line, is_error, offer_ids, channel_ids)"
            " VALUES (%s, %s, 0, '{}', false, '{}', '{}')",
            tenant_id,
            run_id,
        )
        return run_id

    def partitions(self) -> set[str]:
        """Return the names of the monthly partitions."""
        rows = self.run(
            "SELECT relname FROM pg_class WHERE relname ~ '^(interactions|decision_traces)_[0-9_]+$' AND relkind = 'r'"
        )
        return {name for (name,) in rows}


@pytest.fixture
def tables(database_url: str) -> Tables:
    """The tables of a fresh database."""
    return Tables(database_url)


async def run_job(database_url: str, name: str = "cleanup", **environment: str) -> tuple[int, dict[str, Any]]:
    """Run one job as a process; return its exit code and its line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kaireon_cron",
        name,
        env={**os.environ, "DATABASE_URL": database_url, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    (line,) = output.splitlines()
    assert process.returncode is not None
    return process.returncode, json.loads(line)


async def test_history_goes_by_each_tenant_s_own_retention(tables: Tables, database_url: str) -> None:
    now = datetime.now(UTC)
    short, usual = tables.add_tenant(retentionDays=30), tables.add_tenant()
    for tenant_id in (short, usual):
        for days in (1, 29, 31, 364, 366):
            tables.add_interaction(tenant_id, now - timedelta(days=days))
            tables.add_trace(tenant_id, now - timedelta(days=days), b"l", b"s")
    code, line = await run_job(database_url)
    assert (code, line["ok"], line["failures"]) == (0, True, [])
    assert (line["interactions"], line["decisionTraces"]) == (4, 4)
    for table in ("interactions", "decision_traces"):
        kept = dict(tables.run(f"SELECT tenant_id, count(*) FROM {table} GROUP BY tenant_id"))  # noqa: S608 - a constant
        assert kept == {short: 2, usual: 4}


@pytest.mark.parametrize("retention", ["soon", None, {"days": 3}, True])
async def test_a_retention_that_is_no_number_is_the_default(
    tables: Tables, database_url: str, retention: object
) -> None:
    tenant_id = tables.add_tenant(retentionDays=retention)
    kept = tables.add_interaction(tenant_id, datetime.now(UTC) - timedelta(days=360))
    tables.add_interaction(tenant_id, datetime.now(UTC) - timedelta(days=370))
    assert (await run_job(database_url))[0] == 0
    assert tables.run("SELECT id FROM interactions") == [(kept,)]


async def test_daily_summaries_go_and_totals_stay(tables: Tables, database_url: str) -> None:
    tenant_id = tables.add_tenant(retentionDays=30)
    today = datetime.now(UTC).date()
    periods = [("daily", (today - timedelta(days=days)).isoformat()) for days in (0, 29, 32)] + [("alltime", "all")]
    for period_type, period_key in periods:
        tables.run(
            "INSERT INTO interaction_summaries (tenant_id, customer_id, offer_id, creative_id, channel_id, period_type,"
            " period_key) VALUES (%s, 'c', %s, %s, %s, %s, %s)",
            tenant_id,
            NONE,
            NONE,
            NONE,
            period_type,
            period_key,
        )
    _, line = await run_job(database_url)
    assert line["dailySummaries"] == 1
    assert set(tables.run("SELECT period_type, period_key FROM interaction_summaries")) == set(periods) - {periods[2]}


async def test_counts_of_dashboards_go_with_the_summaries(tables: Tables, database_url: str) -> None:
    tenant_id = tables.add_tenant(retentionDays=30)
    days = [datetime.now(UTC).date() - timedelta(days=days) for days in (0, 29, 32)]
    for day in days:
        tables.run(
            "INSERT INTO dashboard_counts VALUES (%s, %s, 'answer', %s, %s, %s, 'click', 'positive', 1, 0, 0)",
            tenant_id,
            day,
            NONE,
            NONE,
            NONE,
        )
        tables.run("INSERT INTO dashboard_sketches VALUES (%s, %s, 'answer', NULL, '{7}')", tenant_id, day)
    _, line = await run_job(database_url)
    assert (line["dashboardCounts"], line["dashboardSketches"]) == (1, 1)
    for table in ("dashboard_counts", "dashboard_sketches"):
        assert set(tables.run(f"SELECT day FROM {table}")) == {(day,) for day in days[:2]}  # noqa: S608 - a constant


async def test_snapshots_stay_while_a_trace_refers_to_them(tables: Tables, database_url: str) -> None:
    tenant_id, other = tables.add_tenant(), tables.add_tenant()
    now = datetime.now(UTC)
    old = now - timedelta(days=400)
    stored = {b"legend": old, b"snapshot": old, b"orphan": old, b"young": now - timedelta(days=3)}
    for content, created_at in stored.items():
        tables.run(
            "INSERT INTO snapshots (tenant_id, hash, kind, content, created_at) VALUES (%s, %s, 'snapshot', '', %s)",
            tenant_id,
            content,
            created_at,
        )
    tables.add_trace(tenant_id, now - timedelta(days=2), b"legend", b"snapshot")
    # Another tenant's trace keeps nothing here.
    tables.add_trace(other, now - timedelta(days=2), b"orphan", b"orphan")
    _, line = await run_job(database_url)
    assert line["snapshots"] == 1
    assert {bytes(kept) for (kept,) in tables.run("SELECT hash FROM snapshots")} == {b"legend", b"snapshot", b"young"}


async def test_batch_runs_go_with_their_results_once_they_are_over(tables: Tables, database_url: str) -> None:
    now = datetime.now(UTC)
    tenant_id = tables.add_tenant(retentionDays=30)
    old, young, going_on = (
        tables.add_batch_run(tenant_id, now - timedelta(days=days), status)
        for days, status in ((31, "completed"), (29, "completed"), (31, "running"))
    )

    _, line = await run_job(database_url)

    assert line["batchRuns"] == 1
    kept = {run_id for (run_id,) in tables.run("SELECT run_id FROM decision_run_results")}
    assert (kept, old in kept) == ({young, going_on}, False)


async def test_journeys_and_triggers_go_with_the_interactions_once_they_are_over(
    tables: Tables, database_url: str
) -> None:
    tenant = tables.add_tenant(retentionDays=10)
    now = datetime.now(UTC)
    for days in (5, 20):
        at = now - timedelta(days=days)
        for status, ended_at in (("completed", at), ("active", None)):
            tables.run(
                "INSERT INTO journey_enrollments (tenant_id, id, journey_id, customer_id, node_id, status, entered_at,"
                " expires_at, ended_at) VALUES (%s, %s, %s, 'c', 'n', %s, %s, %s, %s)",
                *(tenant, uuid4(), uuid4(), status, at, now, ended_at),
            )
        tables.run(
            "INSERT INTO trigger_firings VALUES (%s, %s, %s, 'c', 'e', 'x', 'webhook', %s)",
            *(tenant, uuid4(), uuid4(), at),
        )
        for status in ("completed", "dead"):
            tables.run(
                "INSERT INTO jobs (tenant_id, id, queue, type, status, finished_at)"
                " VALUES (%s, %s, 'journey-jobs', 'trigger_action', %s, %s)",
                *(tenant, uuid4(), status, at),
            )

    _, line = await run_job(database_url)

    assert (line["journeyEnrollments"], line["triggerFirings"], line["journeyJobs"]) == (1, 1, 1)
    left = tables.run("SELECT status, count(*)::integer FROM journey_enrollments GROUP BY status ORDER BY status")
    assert left == [("active", 2), ("completed", 1)]


@pytest.mark.parametrize(("publisher", "pending"), [("redis", 4), ("none", 3)])
async def test_what_is_short_lived_goes(tables: Tables, database_url: str, publisher: str, pending: int) -> None:
    tenant_id = tables.add_tenant()
    for age in ("-1 hour", "1 hour", "23 hours", "25 hours"):
        tables.run(
            "INSERT INTO suppressions (tenant_id, customer_id, policy_id, scope, scope_id, policy_type, reason,"
            " expires_at) VALUES (%s, 'c', gen_random_uuid(), 'offer', 'o', 'cooldown', 'r', now() - %s::interval)",
            tenant_id,
            age,
        )
        tables.run(
            "INSERT INTO idempotency_keys (tenant_id, key, body_hash, response, created_at)"
            " VALUES (%s, %s, '', '{}', now() - %s::interval)",
            tenant_id,
            age,
            age,
        )
        for status in ("sent", "pending"):
            tables.run(
                "INSERT INTO outbox_events (id, tenant_id, type, key, payload, status, created_at, sent_at)"
                " VALUES (gen_random_uuid(), %s, 't', 'k', '{}', %s, now() - %s::interval, now() - %s::interval)",
                *(tenant_id, status, "40 hours" if status == "sent" else age, age),
            )
    code, line = await run_job(database_url, EVENT_PUBLISHER=publisher)
    assert (code, line["unsentEvents"]) == (0, 4 - pending)
    assert (line["suppressions"], line["idempotencyKeys"], line["sentEvents"]) == (3, 1, 1)
    assert tables.run("SELECT count(*) FROM suppressions") == [(1,)]
    assert dict(tables.run("SELECT status, count(*) FROM outbox_events GROUP BY status")) == {
        "sent": 3,
        "pending": pending,
    }


async def test_what_is_counted_and_assigned_goes_when_its_time_is_over(tables: Tables, database_url: str) -> None:
    tenant_id = tables.add_tenant()
    for age in ("-1 hour", "1 hour"):
        tables.run(
            "INSERT INTO variant_assignments (tenant_id, customer_id, experiment_key, variant, assigned_at, expires_at)"
            " VALUES (%s, %s, 'e', 'm', now(), now() - %s::interval)",
            tenant_id,
            age,
            age,
        )
    for age in ("61 days", "63 days"):
        for period in ("ever", "M2026-01-01"):
            tables.run(
                "INSERT INTO tallies (tenant_id, kind, subject_id, period, amount, updated_at)"
                " VALUES (%s, 'cap', gen_random_uuid(), %s, 1, now() - %s::interval)",
                tenant_id,
                period,
                age,
            )
    _, line = await run_job(database_url)
    assert (line["variantAssignments"], line["tallies"]) == (1, 1)
    assert tables.run("SELECT customer_id FROM variant_assignments") == [("-1 hour",)]
    assert dict(tables.run("SELECT period, count(*) FROM tallies GROUP BY period")) == {"ever": 2, "M2026-01-01": 1}


async def test_a_cooldown_goes_when_its_trigger_may_fire_again(tables: Tables, database_url: str) -> None:
    usual, held = tables.add_tenant(), tables.add_tenant()
    tables.run("INSERT INTO retention_configs VALUES (%s, 'interactions', NULL, true)", held)
    triggers = {uuid4(): 7_200_000, uuid4(): 0, uuid4(): None}
    for tenant_id in (usual, held):
        for trigger_id, cooldown_ms in triggers.items():
            if cooldown_ms is not None:
                tables.run(
                    "INSERT INTO entities (tenant_id, kind, id, key, name, status, body)"
                    " VALUES (%s, 'trigger', %s, %s, 't', 'active', %s)",
                    *(tenant_id, trigger_id, str(trigger_id), Jsonb({"cooldownMs": cooldown_ms})),
                )
            for hours in (1, 3):
                tables.run(
                    "INSERT INTO trigger_cooldowns VALUES (%s, %s, %s, now() - make_interval(hours => %s))",
                    *(tenant_id, trigger_id, f"{hours}h", hours),
                )
    _, line = await run_job(database_url)
    assert line["triggerCooldowns"] == 5
    left = tables.run("SELECT tenant_id, trigger_id, customer_id FROM trigger_cooldowns")
    assert [one for one in left if one[0] == usual] == [(usual, next(iter(triggers)), "1h")]
    assert len(left) == 7


async def test_months_to_come_get_partitions_even_where_rows_came_too_early(tables: Tables, database_url: str) -> None:
    tenant_id = tables.add_tenant(retentionDays=3650)
    now = datetime.now(UTC)
    before = tables.partitions()
    for name in before:
        if name.endswith(f"{now + timedelta(days=62):%Y_%m}"):
            tables.run(f"DROP TABLE {name}")
    early = tables.add_interaction(tenant_id, now + timedelta(days=62))
    _, line = await run_job(database_url)
    assert line["failures"] == []
    assert line["partitionsCreated"] >= 2
    assert tables.partitions() >= before
    assert tables.run("SELECT id FROM interactions") == [(early,)]
    assert tables.run("SELECT count(*) FROM interactions_default") == [(0,)]


async def test_partitions_go_when_no_tenant_keeps_them_any_more(tables: Tables, database_url: str) -> None:
    tables.add_tenant(retentionDays=10)
    longest = tables.add_tenant(retentionDays=100)
    now = datetime.now(UTC)
    kept = tables.add_interaction(longest, now - timedelta(days=99))
    code, line = await run_job(database_url)
    assert code == 0
    assert line["partitionsDropped"] >= 2
    oldest = min(name for name in tables.partitions() if name.startswith("interactions"))
    assert oldest == f"interactions_{now - timedelta(days=100):%Y_%m}"
    assert tables.run("SELECT id FROM interactions") == [(kept,)]


async def test_a_step_that_fails_is_told_and_does_not_stop_the_others(tables: Tables, database_url: str) -> None:
    tenant_id = tables.add_tenant()
    tables.run("DROP FUNCTION kaireon_drop_months")
    tables.add_interaction(tenant_id, datetime.now(UTC) - timedelta(days=400))
    code, line = await run_job(database_url)
    assert (code, line["ok"]) == (1, False)
    # One for interactions, one for decisions.
    assert len(line["failures"]) == 2
    assert "partitionsDropped" in line["failures"][0]
    assert line["interactions"] == 1


async def test_a_second_run_finds_nothing_to_do(tables: Tables, database_url: str) -> None:
    tables.add_tenant()
    await run_job(database_url)
    _, line = await run_job(database_url)
    assert {value for value in line.values() if isinstance(value, int) and not isinstance(value, bool)} == {0}


async def test_without_postgres_it_fails_and_says_so() -> None:
    code, line = await run_job("postgresql://postgres@127.0.0.1:1/nowhere")
    assert (code, line["ok"]) == (1, False)
    assert "Postgres" in line["failures"][0]


async def test_the_reaper_frees_stuck_events(tables: Tables, database_url: str) -> None:
    tables.run(
        "INSERT INTO outbox_events (id, tenant_id, type, key, payload, status, created_at)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), 't', 'k', '{}', 'processing', now() - interval '1 hour')"
    )
    code, line = await run_job(database_url, "outbox-reaper", OUTBOX_REAPER_AFTER_MINUTES="30")
    assert (code, line["releasedEvents"]) == (0, 1)
    assert tables.run("SELECT status FROM outbox_events") == [("pending",)]
