"""Each class of data goes by its own days, and nothing that is on hold goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from psycopg.types.json import Jsonb

from kaireon_api.app import build_app, opened
from kaireon_api.settings import Settings
from kaireon_storage.postgres.database import Database
from kaireon_testkit.platform.tenant import TEST_PEPPER, Tenant, create_tenant
from tests.cron.test_cleanup import Tables, run_job

PATH = "/api/v1/admin/retention-configs"
NOW = datetime.now(UTC)


@pytest.fixture
def tables(database_url: str) -> Tables:
    """The tables of a fresh database."""
    return Tables(database_url)


@asynccontextmanager
async def _admin(database_url: str, redis_url: str, tenant: Tenant) -> AsyncGenerator[httpx.AsyncClient]:
    values: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "api_key_pepper": TEST_PEPPER,
        "worker_inprocess": False,
    }
    app = build_app(Settings.model_validate(values))
    transport = httpx.ASGITransport(app=app)
    headers = {"X-API-Key": tenant.api_keys["admin"]}
    async with (
        opened(app.services),
        httpx.AsyncClient(transport=transport, base_url="http://kaireon.test", headers=headers) as client,
    ):
        yield client


async def test_every_class_can_be_read_and_set(database_url: str, redis_url: str, tenant: Tenant) -> None:
    async with _admin(database_url, redis_url, tenant) as client:
        listed = {one["dataClass"]: one for one in (await client.get(PATH)).json()["data"]}
        assert {name: one["retentionDays"] for name, one in listed.items()} == {
            **dict.fromkeys(("interactions", "summaries", "decisions", "runs"), 365),
            **dict.fromkeys(("audit", "off_policy")),
            **dict.fromkeys(("models", "dsar"), 30),
        }
        assert not any(one["legalHold"] for one in listed.values())
        steps: list[tuple[dict[str, Any], int | None, bool]] = [
            ({"retentionDays": 90}, 90, False),
            ({"legalHold": True}, 90, True),
            ({"retentionDays": None}, 365, True),
            ({"legalHold": False}, 365, False),
        ]
        for body, days, is_held in steps:
            answer = (await client.post(PATH, json={"dataClass": "decisions", **body})).json()
            assert (answer["retentionDays"], answer["legalHold"]) == (days, is_held)
        for wrong in ({"dataClass": "nope"}, {"dataClass": "audit", "retentionDays": 0}, {"legalHold": True}):
            assert (await client.post(PATH, json=wrong)).status_code == 400
        rows = (await client.get("/api/v1/audit-logs", params={"entityType": "retentionConfig"})).json()["data"]
        assert [row["changes"] for row in reversed(rows)][1] == {"legalHold": {"from": False, "to": True}}


def _days_old(tables: Tables, tenant_id: UUID, days: int) -> None:
    at = NOW - timedelta(days=days)
    tables.add_interaction(tenant_id, at)
    tables.add_trace(tenant_id, at, b"l", b"s")


def _left(tables: Tables, tenant_id: UUID) -> tuple[int, int]:
    ((interactions, traces),) = tables.run(
        "SELECT (SELECT count(*) FROM interactions WHERE tenant_id = %s),"
        " (SELECT count(*) FROM decision_traces WHERE tenant_id = %s)",
        tenant_id,
        tenant_id,
    )
    return interactions, traces


async def test_a_class_goes_by_its_own_days(tables: Tables, database_url: str) -> None:
    tenant_id = tables.add_tenant()
    tables.run("INSERT INTO retention_configs VALUES (%s, 'decisions', 30)", tenant_id)
    for days in (10, 100, 400):
        _days_old(tables, tenant_id, days)
    await run_job(database_url)
    assert _left(tables, tenant_id) == (2, 1)


async def test_what_is_on_hold_stays_and_keeps_its_partitions(tables: Tables, database_url: str) -> None:
    held, other = tables.add_tenant(retentionDays=30), tables.add_tenant(retentionDays=30)
    tables.run("INSERT INTO retention_configs VALUES (%s, 'interactions', NULL, true)", held)
    for tenant_id in (held, other):
        _days_old(tables, tenant_id, 100)
        tables.run(
            "INSERT INTO suppressions (tenant_id, customer_id, policy_id, scope, scope_id, policy_type, reason,"
            " expires_at) VALUES (%s, 'c', %s, 'offer', 'x', 'x', 'x', now() - interval '1 day')",
            tenant_id,
            uuid4(),
        )
    before = tables.partitions()
    code, _ = await run_job(database_url)
    assert code == 0
    assert (_left(tables, held), _left(tables, other)) == ((1, 0), (0, 0))
    assert tables.run("SELECT tenant_id FROM suppressions") == [(held,)]
    gone = before - tables.partitions()
    assert gone
    assert all(name.startswith("decision_traces") for name in gone)


async def test_a_month_that_everybody_may_lose_is_dropped_not_emptied(tables: Tables, database_url: str) -> None:
    tenant_id = tables.add_tenant(retentionDays=30)
    for _ in range(3):
        _days_old(tables, tenant_id, 100)
    _, line = await run_job(database_url)
    assert line["partitionsDropped"] > 0
    assert (line["interactions"], line["decisionTraces"]) == (0, 0)
    assert _left(tables, tenant_id) == (0, 0)


async def test_the_beginning_of_the_audit_log_goes_and_the_rest_still_verifies(
    tables: Tables, database_url: str, redis_url: str, database: Database
) -> None:
    tenant = await create_tenant(database)
    verify = "/api/v1/audit-logs/verify"
    async with _admin(database_url, redis_url, tenant) as client:
        before = (await client.get(verify)).json()
        tables.run("ALTER TABLE audit_logs DISABLE TRIGGER ALL")
        # What is old is old from the beginning on: only there it may be cut.
        tables.run("UPDATE audit_logs SET logged_at = logged_at - interval '40 days' WHERE sequence IN (1, 2, 3, 5)")
        await run_job(database_url)
        assert (await client.get(verify)).json()["total"] == before["total"]
        tables.run("INSERT INTO retention_configs VALUES (%s, 'audit', 30)", tenant.tenant_id)
        _, line = await run_job(database_url)
        assert line["auditLogs"] == 3
        tables.run("UPDATE audit_logs SET logged_at = logged_at + interval '40 days' WHERE sequence = 5")
        for limit in (100, 2):
            after = (await client.get(verify, params={"limit": limit})).json()
            assert (after["intact"], after["total"]) == (True, before["total"] - 3)
        tables.run("DELETE FROM audit_logs WHERE sequence = 4")
        assert (await client.get(verify)).json()["intact"] is False


async def test_a_log_of_which_all_has_gone_goes_on(
    tables: Tables, database_url: str, redis_url: str, database: Database
) -> None:
    tenant = await create_tenant(database)
    tables.run("UPDATE audit_logs SET logged_at = logged_at - interval '40 days'")
    tables.run("INSERT INTO retention_configs VALUES (%s, 'audit', 30)", tenant.tenant_id)
    await run_job(database_url)
    assert tables.run("SELECT count(*) FROM audit_logs") == [(0,)]
    async with _admin(database_url, redis_url, tenant) as client:
        assert (await client.get("/api/v1/audit-logs/verify")).json()["intact"] is True
        await client.post("/api/v1/offers", json={"name": "Gold"})
        report = (await client.get("/api/v1/audit-logs/verify")).json()
        assert (report["intact"], report["total"]) == (True, 1)


async def test_a_graph_of_no_model_goes(tables: Tables, database_url: str) -> None:
    tenant_id, other = tables.add_tenant(), tables.add_tenant()
    for owner, deleted_at in ((tenant_id, None), (other, NOW)):
        for hash_ in ("of a model", "young", "orphan"):
            age = 1 if hash_ == "young" else 40
            tables.run(
                "INSERT INTO model_graph_parts VALUES (%s, %s, 0, '', %s)", owner, hash_, NOW - timedelta(days=age)
            )
        # A model that was deleted still has what its decisions are replayed with.
        tables.run(
            "INSERT INTO entities (tenant_id, kind, id, key, name, status, body, deleted_at)"
            " VALUES (%s, 'algorithm_model', %s, 'm', 'm', 'active', %s, %s)",
            *(owner, uuid4(), Jsonb({"modelState": {"bytesHashSha256": "of a model"}}), deleted_at),
        )
    tables.run("INSERT INTO retention_configs VALUES (%s, 'models', NULL, true)", other)
    _, line = await run_job(database_url)
    assert line["graphs"] == 1
    left = tables.run("SELECT tenant_id, hash FROM model_graph_parts")
    assert (tenant_id, "orphan") not in left
    assert len(left) == 5


async def test_old_generations_logs_and_exports_go(tables: Tables, database_url: str) -> None:
    tenant_id, model, young, gone = tables.add_tenant(), uuid4(), uuid4(), uuid4()
    for id_, days in ((model, 40), (young, 1)):
        tables.run(
            "INSERT INTO entities (tenant_id, kind, id, key, name, status, body, updated_at) VALUES (%s,"
            " 'algorithm_model', %s, %s, 'm', 'active', %s, now() - make_interval(days => %s))",
            tenant_id,
            id_,
            str(id_)[:8],
            Jsonb({"learningGeneration": 2}),
            days,
        )
    for id_ in (model, young, gone):
        for given in ((tenant_id, id_, 1), (tenant_id, id_, 2)):
            tables.run("INSERT INTO learned_sums VALUES (%s, %s, %s, 's', 1, 1)", *given)
            tables.run("INSERT INTO learned_weights VALUES (%s, %s, %s, '{}', '[]')", *given)
    tables.run("INSERT INTO retention_configs VALUES (%s, 'off_policy', 30)", tenant_id)
    for days in (10, 40):
        at = NOW - timedelta(days=days)
        tables.run("INSERT INTO decision_logs VALUES (%s, %s, '{}', %s)", tenant_id, uuid4(), at)
        tables.run(
            "INSERT INTO dsar_exports VALUES (%s, %s, 'customers', '{}', 0, '', %s)",
            tenant_id,
            uuid4(),
            at,
        )
    code, line = await run_job(database_url)
    assert code == 0
    counted = {name: line[name] for name in ("learnedSums", "learnedWeights", "decisionLogs", "dsarExports")}
    assert counted == {"learnedSums": 3, "learnedWeights": 3, "decisionLogs": 1, "dsarExports": 1}
    left = tables.run("SELECT model_id, generation FROM learned_sums ORDER BY model_id, generation")
    assert set(left) == {(model, 2), (young, 1), (young, 2)}
