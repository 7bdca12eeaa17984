"""How many jobs wait, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.jobs import PostgresDueJobs
from kaireon_worker.queue_gauges import QueueGauges

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from tests.worker.conftest import JobOwner


def _values(metrics: Metrics, name: str) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        sample.labels["queue"]: sample.value for family in families for sample in family.samples if family.name == name
    }


async def test_jobs_that_nobody_takes_are_counted_and_age(owner: JobOwner, database: Database) -> None:
    for _ in range(3):
        await owner.enqueue("count_up")
    metrics = Metrics()

    await QueueGauges(PostgresDueJobs(database), metrics).look()

    assert sorted(_values(metrics, "kaireon_jobs_waiting").values()) == [0, 0, 0, 0, 0, 3]
    ages = sorted(_values(metrics, "kaireon_job_queue_age_seconds").values())
    assert ages[:5] == [0] * 5
    assert ages[5] > 0
