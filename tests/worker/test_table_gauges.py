"""How many jobs wait, and for how long; what the checks of caps have counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from kaireon_application.decisioning.held_caps import CAP_TYPES
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.cap_checks import PostgresCapChecks
from kaireon_worker.table_gauges import TableGauges

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant
    from tests.worker.conftest import JobOwner


def _values(metrics: Metrics, name: str, label: str = "queue") -> dict[str, float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        sample.labels.get(label, ""): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


async def test_jobs_that_nobody_takes_are_counted_and_age(owner: JobOwner, database: Database) -> None:
    for _ in range(3):
        await owner.enqueue("count_up")
    metrics = Metrics()

    await TableGauges(database, metrics).look()

    assert sorted(_values(metrics, "kaireon_jobs_waiting").values()) == [0, 0, 0, 0, 0, 3]
    ages = sorted(_values(metrics, "kaireon_job_queue_age_seconds").values())
    assert ages[:5] == [0] * 5
    assert ages[5] > 0


async def test_violations_have_a_value_from_the_first_look_on_and_a_lag_from_the_first_check_on(
    database: Database, tenant: Tenant
) -> None:
    metrics, name, lag = Metrics(), "kaireon_cap_violations_total", "kaireon_cap_check_lag_seconds"
    assert not _values(metrics, name, "ruleType"), "0 would be a fall"

    await TableGauges(database, metrics).look()

    assert set(_values(metrics, name, "ruleType").items()) == {(cap, 0) for cap in CAP_TYPES}
    assert not _values(metrics, lag)

    await PostgresCapChecks(database).check(tenant.tenant_id, datetime.now(UTC) - timedelta(hours=1))
    async with database.system_transaction() as connection:
        await connection.execute("UPDATE cap_violations SET count = 7 WHERE rule_type = 'frequency_cap'")
    await TableGauges(database, metrics).look()

    assert _values(metrics, name, "ruleType")["frequency_cap"] == 7
    assert _values(metrics, lag)[""] > 3600
