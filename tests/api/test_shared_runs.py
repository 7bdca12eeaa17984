"""Batch runs that two workers decide: each customer once, in the order of the list, whichever of the two is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_application.decisioning.decision_run import CHUNK_SIZE
from tests.api.test_campaigns import define, members, recommended, trigger
from tests.api.test_runs import lines, look, read, results, start, until, until_over

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from kaireon_api.settings import Settings
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

    # Starts a run of so many customers that one worker leads and another helps with.
    Share = Callable[[int], Awaitable[dict[str, Any]]]

__all__ = ["members"]

LEADER, HELPER = 0, 1
IDS = [f"c{number}" for number in range(40_000)]


# How the two workers are started: those of the tier, or two that live beside an API each.
TIER, BESIDE = "tier", "beside"


@pytest.fixture
def workers(
    request: pytest.FixtureRequest, start_worker: StartWorker, settings: Settings
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two workers that are ready."""
    if getattr(request, "param", TIER) == TIER:
        started = [start_worker(stderr=subprocess.PIPE) for _ in range(2)]
    else:
        given = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "WORKER_POLL_SECONDS": "0.2"}
        command = [sys.executable, "-m", "kaireon_worker", "beside"]
        started = [subprocess.Popen(command, env={**os.environ, **given}, stderr=subprocess.PIPE) for _ in range(2)]
    for worker in started:
        assert worker.stderr is not None
        assert any(b"ready" in line for line in worker.stderr)
    yield started
    for worker in started:
        worker.kill()
        worker.communicate()


async def holders(shop: Shop, run: dict[str, Any]) -> int:
    """Return how many workers have decided something of a run."""
    sql = "SELECT count(DISTINCT lease_token) AS n FROM decision_run_chunks WHERE run_id = %(run_id)s"
    return (await shop.rows(sql + " AND decided_count > 0", run_id=run["runId"]))[0]["n"]


async def helper_count(shop: Shop) -> int:
    return (await shop.rows("SELECT count(*) AS n FROM decision_run_helpers"))[0]["n"]


async def until_alone(shop: Shop, eventually: Eventually) -> None:
    """Wait until nobody helps."""

    async def nobody_helps() -> bool:
        return await helper_count(shop) == 0

    await eventually(nobody_helps)


@pytest.fixture
def share(shop: Shop, workers: list[subprocess.Popen[bytes]], eventually: Eventually) -> Share:
    """Start runs that the first worker leads and the second helps with; both have decided some of it then."""

    async def begin(count: int) -> dict[str, Any]:
        helper = workers[HELPER]
        helper.send_signal(signal.SIGSTOP)
        run = await start(shop, customerIds=IDS[:count], channel="web", limit=1, **{"async": True})
        await until(shop, run, eventually, lambda seen: seen["progress"]["processed"] > 0)
        helper.send_signal(signal.SIGCONT)

        async def both_have() -> bool:
            return await holders(shop, run) == len(workers)

        await eventually(both_have)
        assert (await look(shop, run))["status"] == "running"
        return run

    return begin


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "lost", "signal_number"),
    [
        (TIER, (), 0),
        (BESIDE, (), 0),
        (TIER, (LEADER,), signal.SIGKILL),
        (TIER, (HELPER,), signal.SIGKILL),
        (TIER, (LEADER, HELPER), signal.SIGKILL),
        (TIER, (HELPER,), signal.SIGSTOP),
        (TIER, (HELPER,), signal.SIGTERM),
    ],
    indirect=["workers"],
)
async def test_two_workers_decide_everyone_once(
    shop: Shop,
    workers: list[subprocess.Popen[bytes]],
    share: Share,
    eventually: Eventually,
    start_worker: StartWorker,
    lost: tuple[int, ...],
    signal_number: int,
) -> None:
    count = 20 * CHUNK_SIZE + 7
    run = await share(count)
    for one in lost:
        workers[one].send_signal(signal_number)
    if len(lost) == len(workers):
        start_worker()
    seen = await until_over(shop, run, eventually)
    if signal_number == signal.SIGSTOP:
        workers[HELPER].send_signal(signal.SIGCONT)
    if signal_number != signal.SIGKILL:
        await until_alone(shop, eventually)

    assert (seen["status"], seen["progress"]["processed"]) == ("completed", count)
    assert seen["summary"]["customersProcessed"] == count
    found = await lines(shop, run)
    assert [result["customerId"] for result in found] == IDS[:count]
    table = read(await results(shop, run, format="parquet"))
    assert table.column("customerId").to_pylist() == IDS[:count]
    traces = await shop.rows("SELECT customer_id, recommendation_id::text AS id FROM decision_traces")
    assert Counter(row["customer_id"] for row in traces) == Counter(IDS[:count])
    assert {f"rec_{row['id']}" for row in traces} == {result["recommendationId"] for result in found}
    shown = await shop.rows("SELECT count(*) AS n FROM interactions")
    assert shown[0]["n"] == count


async def test_nobody_writes_for_a_run_that_was_cancelled(shop: Shop, share: Share, eventually: Eventually) -> None:
    run = await share(len(IDS))
    asked = await shop.api.viewer.post(f"/api/v1/runs/{run['runId']}/cancel")
    assert asked.status_code == 202
    over = await until_over(shop, run, eventually)
    found = await lines(shop, run)

    assert over["status"] == "cancelled"
    assert 0 < len(found) == over["progress"]["processed"] < len(IDS)
    assert await helper_count(shop) == 0
    job = await shop.get(f"jobs/{run['runId']}")
    assert job["progress"]["processed"] == len(found)
    traces = await shop.rows("SELECT count(*) AS n FROM decision_traces")
    assert traces[0]["n"] == len(found)


async def test_a_helper_leaves_when_there_is_a_job_for_it(shop: Shop, share: Share, eventually: Eventually) -> None:
    run = await share(len(IDS))
    # More than the leader has room for.
    await shop.run(
        "INSERT INTO jobs (tenant_id, id, queue, type, payload) SELECT %(tenant_id)s, gen_random_uuid(), 'seed-jobs',"
        " 'count_up', '{\"steps\": 100000}' FROM generate_series(1, 3)"
    )

    await until_alone(shop, eventually)
    seen = await look(shop, run)
    assert seen["status"] == "running"
    running = await shop.rows("SELECT count(*) AS n FROM jobs WHERE type = 'count_up' AND status = 'running'")
    assert running[0]["n"] == 3


@pytest.mark.slow
async def test_a_system_wide_cap_is_filled_exactly_by_two_workers(
    shop: Shop, share: Share, eventually: Eventually
) -> None:
    most, count = 13 * CHUNK_SIZE + 93, 20 * CHUNK_SIZE
    given = {"scope": "channel", "scopeId": "web", "maxVolume": most, "period": "daily"}
    cap = await shop.create("frequency-caps", name="webs", **given)
    seen = await until_over(shop, await share(count), eventually)

    assert (seen["status"], seen["summary"]["customersFailed"]) == ("completed", 0)
    assert (seen["summary"]["customersProcessed"], seen["summary"]["totalRecommendations"]) == (count, most)
    assert (await shop.get(f"frequency-caps/{cap['id']}"))["currentCount"] == most


async def test_the_caps_of_a_run_are_filled_in_order_beside_idle_workers(
    members: Shop, workers: list[subprocess.Popen[bytes]], eventually: Eventually
) -> None:
    shop, total = members, 4 * CHUNK_SIZE
    for first in range(0, total, 1000):
        body = {"rows": [{"customer_id": f"d{number:04}"} for number in range(first, first + 1000)]}
        assert (await shop.api.editor.post("/api/v1/schemas/people/data", json=body)).status_code == 201
    await define(shop, key="capped", limit=1, frequencyCaps={"maxPerOffer": 700})
    run = await trigger(shop, "capped")
    assert (await until_over(shop, run, eventually))["status"] == "completed"

    by_offer, _, customers = await recommended(shop, run)
    assert (by_offer, customers) == (Counter(gold=700, silver=700, bronze=640), total + 40)
    given = [item["offerKey"] for line in await lines(shop, run) for item in line["decisions"]]
    assert given == ["gold"] * 700 + ["silver"] * 700 + ["bronze"] * 640
    assert await holders(shop, run) == 1
