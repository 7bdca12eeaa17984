"""A job that ends its worker each time: set aside after its tries, in nobody's way, and put back or purged by hand."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kaireon_application.platform.job import JobStatus
from tests.api.conftest import Clients, api, app, settings
from tests.faults.patience import PATIENCE_SECONDS
from tests.worker.conftest import JobOwner, StartWorker, owner, start_worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["api", "app", "owner", "settings", "start_worker"]
pytestmark = pytest.mark.faults

URL = "/api/v1/admin/dlq"


@asynccontextmanager
async def supervised(start_worker: StartWorker, *, count: int = 2) -> AsyncGenerator[list[subprocess.Popen[bytes]]]:
    """Keep so many workers up, as a supervisor would; give all that were started."""
    started = [start_worker() for _ in range(count)]

    async def supervise() -> None:
        up = list(started)
        while True:
            for place, worker in enumerate(up):
                if worker.poll() is not None:
                    up[place] = start_worker()
                    started.append(up[place])
            await asyncio.sleep(0.1)

    supervising = asyncio.create_task(supervise())
    try:
        yield started
    finally:
        supervising.cancel()
        with suppress(asyncio.CancelledError):
            await supervising


async def test_jobs_whose_worker_dies_each_time(
    owner: JobOwner, api: Clients, start_worker: StartWorker, tmp_path: Path
) -> None:
    cause = tmp_path / "cause"
    cause.touch()
    async with supervised(start_worker) as workers:
        poison = {
            await owner.enqueue("die", how=how, **{"while": str(cause)}): how
            for how in ("exits", "is killed", "crashes")
        }
        others = [await owner.enqueue("count_up", steps=3) for _ in range(20)]
        dead = [await owner.until_over(job_id, PATIENCE_SECONDS) for job_id in poison]
        assert [(job.status, job.attempts, job.error["code"]) for job in dead] == [
            (JobStatus.DEAD, 5, "worker_lost")
        ] * 3
        done = [await owner.until_over(job_id, PATIENCE_SECONDS) for job_id in others]
        assert {job.status for job in done} == {JobStatus.COMPLETED}
        # One death may have taken two along.
        assert len(workers) >= 2 + 5

        listed = (await api.admin.get(URL)).json()
        assert (listed["totalEvents"], listed["byTopic"]) == (3, {"seed-jobs": 3})
        assert {entry["id"]: (entry["payload"]["how"], entry["error"]) for entry in listed["events"]} == {
            str(job_id): (how, "worker_lost: the worker was lost in 5 attempts") for job_id, how in poison.items()
        }
        purged, *kept = poison
        await _act(api, {"action": "purge", "eventIds": [str(purged)]}, {"action": "purge", "deleted": 1})
        assert (await api.viewer.get(f"/api/v1/jobs/{purged}")).status_code == 404
        cause.unlink()
        await _act(api, {"action": "retry", "topic": "seed-jobs"}, {"action": "retry", "requeued": 2})
        for job_id in kept:
            again = await owner.until_over(job_id, PATIENCE_SECONDS)
            assert (again.status, again.attempts, again.error) == (JobStatus.COMPLETED, 1, None)
        assert (await api.admin.get(URL)).json()["totalEvents"] == 0


async def test_a_job_survives_another_that_ends_its_worker_each_time(
    owner: JobOwner, start_worker: StartWorker, tmp_path: Path
) -> None:
    """Both are taken up together, and both leases lapse together."""
    cause = tmp_path / "cause"
    cause.touch()
    async with supervised(start_worker, count=1):
        innocent = await owner.enqueue("count_up", steps=10, pause=0.1)
        await owner.until(innocent, lambda record: record.status is JobStatus.RUNNING)
        poison = await owner.enqueue("die", how="is killed", **{"while": str(cause)})
        ended = await owner.until_over(innocent, PATIENCE_SECONDS)
        assert (ended.status, ended.attempts) == (JobStatus.COMPLETED, 2)
        dead = await owner.until_over(poison, PATIENCE_SECONDS)
        assert (dead.status, dead.attempts) == (JobStatus.DEAD, 5)


async def _act(api: Clients, body: Mapping[str, Any], answered: Mapping[str, Any]) -> None:
    answer = await api.admin.post(URL, json=body)
    assert (answer.status_code, answer.json()) == (200, answered)
