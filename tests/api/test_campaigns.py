"""Campaigns: runs that are defined once, triggered by people or a schedule, and bounded as a whole."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_cron.settings import JobSettings
from kaireon_storage.scheduled_jobs import JOBS, run_job
from tests.api.test_runs import PARQUET, look, results, until_over

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

MEMBERS = 40


@pytest.fixture
async def members(shop: Shop) -> Shop:
    """A segment of forty customers, and a flow."""
    fields = [{"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True}]
    await shop.create("schemas", name="people", key="people", fields=fields)
    rows = [{"customer_id": f"c{number:02}"} for number in range(MEMBERS)]
    assert (await shop.api.editor.post("/api/v1/schemas/people/data", json={"rows": rows})).status_code == 201
    await shop.create("segments", name="all", key="all", baseSchemaId="people", status="active")
    return shop


async def define(shop: Shop, **body: Any) -> dict[str, Any]:
    given = {"name": "Spring", "segmentId": "all", "status": "active", "limit": 3, "channelIds": ["web"], **body}
    return await shop.create("runs", **given)


async def trigger(shop: Shop, reference: str) -> dict[str, Any]:
    answer = await shop.api.editor.post(f"/api/v1/runs/{reference}/trigger")
    assert answer.status_code == 202, answer.text
    return answer.json()


async def recommended(shop: Shop, run: dict[str, Any]) -> tuple[Counter[str], Counter[str], int]:
    """Return how often each offer and channel was recommended, and for how many customers there is a result."""
    found = [json.loads(line) for line in (await results(shop, run, format="ndjson")).text.splitlines()]
    items = [item for line in found for item in line["decisions"]]
    return Counter(item["offerKey"] for item in items), Counter(item["channelName"] for item in items), len(found)


async def test_a_definition_is_kept_changed_and_deleted(members: Shop) -> None:
    shop = members
    made = await define(shop, key="spring", scheduleType="weekly", scheduleDayOfWeek=5)
    assert (made["frequencyCaps"], made["scheduleTime"], made["rowVersion"]) == (
        {"maxTotalPerRun": None, "maxPerOffer": None, "maxPerChannel": None},
        "09:00",
        1,
    )
    assert await shop.get("runs/spring") == made == await shop.get(f"runs/{made['id']}")
    assert [one["key"] for one in (await shop.get("runs"))["data"]] == ["spring"]
    changed = await shop.api.editor.put("/api/v1/runs/spring", json={"scheduleTime": "23:59"})
    assert changed.json()["scheduleTime"] == "23:59"
    assert (await shop.api.editor.delete("/api/v1/runs/spring")).status_code == 204
    assert (await shop.api.viewer.get("/api/v1/runs/spring")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"segmentId": None}, 400, "$.segmentId"),
        ({"segmentId": "gone"}, 404, "$.segmentId"),
        ({"channelIds": ["gone"]}, 404, "$.channelIds[0]"),
        ({"decisionFlowId": "gone"}, 404, "$.decisionFlowId"),
        ({"scheduleType": "hourly"}, 400, "$.scheduleType"),
        ({"scheduleType": "weekly"}, 400, "$.scheduleDayOfWeek"),
        ({"scheduleType": "monthly", "scheduleDayOfMonth": 31}, 400, "$.scheduleDayOfMonth"),
        ({"scheduleTime": "24:00"}, 400, "$.scheduleTime"),
        ({"scheduleTimezone": "Mars/Base"}, 400, "$.scheduleTimezone"),
        ({"scheduleCron": "every day"}, 400, "$.scheduleCron"),
        ({"frequencyCaps": {"maxPerOffer": 0}}, 400, "$.frequencyCaps.maxPerOffer"),
        ({"fileConfig": {"format": "csv"}}, 400, "$.fileConfig.format"),
    ],
)
async def test_what_is_no_definition_is_told(members: Shop, body: dict[str, Any], status: int, path: str) -> None:
    given = {"name": "Spring", "segmentId": "all", **body}
    answer = await members.api.editor.post("/api/v1/runs", json=given)
    assert (answer.status_code, answer.json()["error"]["details"][0]["path"]) == (status, path), answer.text


async def test_a_definition_is_triggered_again_and_again(
    members: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    shop, definition = members, await define(members, key="spring")
    start_worker()
    runs = [await trigger(shop, "spring"), await trigger(shop, definition["id"])]
    seen = [await until_over(shop, run, eventually) for run in runs]
    assert [(run["status"], run["runNumber"], run["definitionId"], run["dueAt"]) for run in seen] == [
        ("completed", 1, definition["id"], None),
        ("completed", 2, definition["id"], None),
    ]
    assert await recommended(shop, runs[0]) == (
        Counter(dict.fromkeys(("gold", "silver", "bronze"), MEMBERS)),
        Counter(Web=3 * MEMBERS),
        MEMBERS,
    )
    first = await shop.get("runs/spring/executions", limit=1)
    rest = await shop.get("runs/spring/executions", limit=1, cursor=first["pagination"]["nextCursor"])
    assert [page["data"][0]["runNumber"] for page in (first, rest)] == [2, 1]
    assert (first["pagination"]["total"], rest["pagination"]["nextCursor"]) == (2, None)


@pytest.mark.parametrize(
    ("caps", "offers", "total"),
    [
        ({"maxPerOffer": 7}, {"gold": 7, "silver": 7, "bronze": 7}, 21),
        ({"maxTotalPerRun": 10}, None, 10),
        ({"maxPerChannel": 11}, None, 11),
        ({"maxPerOffer": 5, "maxTotalPerRun": 12}, None, 12),
        ({"maxPerOffer": 1000}, {"gold": MEMBERS, "silver": MEMBERS, "bronze": MEMBERS}, 3 * MEMBERS),
    ],
)
async def test_a_run_recommends_as_much_as_its_caps_allow_and_no_more(
    members: Shop,
    start_worker: StartWorker,
    eventually: Eventually,
    caps: dict[str, int],
    offers: dict[str, int] | None,
    total: int,
) -> None:
    await define(members, key="capped", frequencyCaps=caps)
    start_worker()
    run = await trigger(members, "capped")
    assert (await until_over(members, run, eventually))["status"] == "completed"
    by_offer, by_channel, customers = await recommended(members, run)
    assert (by_offer.total(), by_channel.total(), customers) == (total, total, MEMBERS)
    assert offers is None or by_offer == offers
    assert max(by_offer.values()) <= caps.get("maxPerOffer", MEMBERS)
    # The next run has caps of its own.
    again = await trigger(members, "capped")
    await until_over(members, again, eventually)
    assert (await recommended(members, again))[0].total() == total


async def test_a_capped_run_goes_on_with_what_is_left_when_a_worker_is_lost(
    members: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await define(members, key="capped", frequencyCaps={"maxPerOffer": 5})
    run = await trigger(members, "capped")
    first = start_worker()

    async def has_some() -> bool:
        return (await look(members, run))["progress"]["processed"] > 0

    await eventually(has_some)
    first.kill()
    first.wait()
    start_worker()
    assert (await until_over(members, run, eventually))["status"] == "completed"
    by_offer, _, customers = await recommended(members, run)
    assert (by_offer, customers) == (Counter(gold=5, silver=5, bronze=5), MEMBERS)


async def test_a_schedule_starts_one_run_for_each_instant(members: Shop, database: Database) -> None:
    shop, definition = members, await define(members, key="every-minute", scheduleCron="* * * * *")
    await define(shop, key="paused", name="Paused", scheduleCron="* * * * *", status="paused")
    await define(shop, key="by-hand", name="By hand")
    settings = JobSettings(database_url="postgresql://unused")
    assert (await JOBS["flow-scheduler-tick"](database, settings)).counts["startedRuns"] == 0
    await shop.run("UPDATE entities SET updated_at = now() - interval '3 minutes' WHERE kind = 'run'")

    started = await asyncio.gather(*(JOBS["flow-scheduler-tick"](database, settings) for _ in range(4)))

    assert sum(outcome.counts["startedRuns"] for outcome in started) in {1, 2}
    found = (await shop.get("runs/every-minute/executions"))["data"]
    due = [run["dueAt"] for run in found]
    # Two only where a minute began in between.
    assert len(set(due)) == len(due) == sum(outcome.counts["startedRuns"] for outcome in started)
    assert {run["definitionId"] for run in found} == {definition["id"]}
    assert not (await run_job("flow-scheduler-tick", database, settings)).failures
    for key in ("paused", "by-hand"):
        assert (await shop.get(f"runs/{key}/executions"))["data"] == []


async def test_results_come_as_the_definition_says_unless_the_caller_says_otherwise(
    members: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await define(members, key="table", fileConfig={"format": "parquet"})
    start_worker()
    run = await trigger(members, "table")
    await until_over(members, run, eventually)
    types = [(await results(members, run, **query)).headers["content-type"] for query in ({}, {"format": "ndjson"})]
    assert types == [PARQUET, "application/x-ndjson"]


async def test_who_may_trigger(members: Shop, other_shop: Shop) -> None:
    await define(members, key="spring")
    path = "/api/v1/runs/spring/trigger"
    assert (await members.api.viewer.post(path)).status_code == 403
    assert (await other_shop.api.editor.post(path)).status_code == 404
    await members.api.editor.put("/api/v1/runs/spring", json={"status": "archived"})
    assert (await members.api.editor.post(path)).status_code == 409
