"""Batch runs: /decide on the worker, every customer once, whatever happens to the worker."""

from __future__ import annotations

import io
import json
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import msgspec
import psycopg
import pyarrow.parquet as pq
import pytest

from kaireon_application.decisioning.decide_list import DecideError, DecideResult
from kaireon_application.decisioning.wire import DecisionItem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

OVER = {"completed", "failed", "cancelled"}
PARQUET = "application/vnd.apache.parquet"


async def start(shop: Shop, **body: Any) -> dict[str, Any]:
    answer = await shop.api.viewer.post("/api/v1/decide", json=body)
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert accepted.keys() == {"runId", "jobId", "statusUrl"}
    assert accepted["statusUrl"] == answer.headers["location"] == f"/api/v1/runs/{accepted['runId']}"
    return accepted


async def look(shop: Shop, run: dict[str, Any]) -> dict[str, Any]:
    answer = await shop.api.viewer.get(run["statusUrl"])
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(
    shop: Shop, run: dict[str, Any], eventually: Eventually, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    async def is_it() -> bool:
        return holds(await look(shop, run))

    await eventually(is_it)
    return await look(shop, run)


async def until_over(shop: Shop, run: dict[str, Any], eventually: Eventually) -> dict[str, Any]:
    return await until(shop, run, eventually, lambda seen: seen["status"] in OVER)


async def results(shop: Shop, run: dict[str, Any], **query: str) -> httpx.Response:
    return await shop.api.viewer.get(f"/api/v1/runs/{run['runId']}/results", params=query)


async def lines(shop: Shop, run: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await results(shop, run)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def names(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def read(answer: httpx.Response) -> Any:
    return cast("Any", pq).read_table(io.BytesIO(answer.content))


def offers(result: dict[str, Any]) -> list[tuple[str, float]]:
    return [(item["offerKey"], item["score"]) for item in result["decisions"]]


async def test_a_run_decides_what_a_list_would(shop: Shop, start_worker: StartWorker, eventually: Eventually) -> None:
    start_worker()
    await shop.create(
        "qualification-rules",
        name="gold only",
        ruleType="attribute_condition",
        config={"attribute": "tier", "operator": "eq", "value": "gold"},
        scope="offer",
        scopeId="gold",
    )
    customers = [
        {"customerId": "c1", "attributes": {"tier": "gold"}},
        {"customerId": "c2", "attributes": {"tier": "none"}, "context": {"page": "home"}, "segments": ["new"]},
        {"customerId": "c1", "attributes": {"tier": "none"}},
        {"customerId": "c3"},
    ]
    asked = {"customers": customers, "channel": "web", "limit": 2}
    before = await shop.counts()

    run = await start(shop, **asked, **{"async": True})
    seen = await until_over(shop, run, eventually)
    after = await shop.counts()
    now = (await shop.api.viewer.post("/api/v1/decide", json=asked)).json()

    assert (seen["status"], seen["error"], seen["jobId"]) == ("completed", None, run["jobId"])
    assert (seen["progress"]["processed"], seen["progress"]["total"], seen["progress"]["etaSeconds"]) == (3, 3, 0)
    assert seen["progress"]["ratePerSecond"] > 0
    found = await lines(shop, run)
    assert [result["customerId"] for result in found] == ["c1", "c2", "c3"]
    assert list(map(offers, found)) == list(map(offers, now["results"]))
    assert found[0].keys() == now["results"][0].keys()
    assert after["decision_traces"] - before["decision_traces"] == 3
    assert after["interactions"] - before["interactions"] == 6
    assert after["outbox_events"] - before["outbox_events"] == 3 + 6
    for result in found:
        trace = await shop.get(f"decision-traces/{result['recommendationId']}")
        assert trace["customerId"] == result["customerId"]
        replayed = await shop.api.viewer.post(f"/api/v1/decision-traces/{result['recommendationId']}/replay", json={})
        assert (replayed.status_code, replayed.json()["identical"]) == (200, True)


async def test_a_run_tells_what_it_has_decided(shop: Shop, start_worker: StartWorker, eventually: Eventually) -> None:
    start_worker()
    run = await start(shop, customerIds=["a", "b"], channel="email", limit=2, **{"async": True})
    seen = await until_over(shop, run, eventually)

    summary = seen["summary"]
    assert (summary["customersProcessed"], summary["customersFailed"]) == (2, 0)
    assert (summary["customersWithRecommendations"], summary["totalRecommendations"]) == (2, 4)
    assert summary["averageOffersPerCustomer"] == 2
    by_offer = [(one["offerKey"], one["offerName"], one["count"], one["percentage"]) for one in summary["byOffer"]]
    assert sorted(by_offer) == [("gold", "gold", 2, 50), ("silver", "silver", 2, 50)]
    assert [(one["channelKey"], one["count"]) for one in summary["byChannel"]] == [("mail", 4)]
    assert seen["executionSeconds"] >= 0
    assert seen["resultsUrl"] == f"/api/v1/runs/{run['runId']}/results"
    job = await shop.get(f"jobs/{run['jobId']}")
    assert (job["queue"], job["type"], job["status"]) == ("batch-jobs", "decide_run", "completed")
    assert job["result"] == {"processed": 2, "failed": 0}
    late = await shop.api.viewer.post(f"/api/v1/runs/{run['runId']}/cancel")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "CONFLICT")


async def test_results_are_rows_of_parquet_too(shop: Shop, start_worker: StartWorker, eventually: Eventually) -> None:
    start_worker()
    ids = [f"c{number}" for number in range(1200)]
    run = await start(shop, customerIds=ids, channel="email", limit=1)
    await until_over(shop, run, eventually)

    answer = await results(shop, run, format="parquet")
    assert answer.headers["content-type"] == PARQUET
    table = read(answer)
    assert table.column("customerId").to_pylist() == ids
    plain = await lines(shop, run)
    assert table.column("recommendationId").to_pylist() == [line["recommendationId"] for line in plain]
    item = table.column("decisions").to_pylist()[0][0]
    assert item | {"content": json.loads(item["content"]), "personalization": {}} == plain[0]["decisions"][0]
    assert set(item) == names(DecisionItem)
    assert set(table.column_names) == names(DecideResult) | names(DecideError)
    by_header = await shop.api.viewer.get(f"/api/v1/runs/{run['runId']}/results", headers={"Accept": PARQUET})
    assert by_header.headers["content-type"] == PARQUET


async def test_a_run_decides_the_members_of_a_segment(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    fields = [
        {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
        {"name": "age", "dataType": "integer"},
        {"name": "city", "dataType": "text"},
    ]
    await shop.create("schemas", name="people", key="people", fields=fields)
    people = [{"customer_id": f"c{age:04}", "age": age, "city": "Wien" if age % 2 else "Graz"} for age in range(1000)]
    assert (await shop.api.editor.post("/api/v1/schemas/people/data", json={"rows": people})).status_code == 201
    filters = [
        {"field": "age", "operator": "gte", "value": 18},
        {"field": "city", "operator": "regex", "value": "^W"},
    ]
    segment = await shop.create("segments", name="grown", baseSchemaId="people", filters=filters, status="active")
    nobody = [{"field": "age", "operator": "lt", "value": 0}]
    await shop.create("segments", name="nobody", baseSchemaId="people", filters=nobody, status="active")

    runs = [await start(shop, segmentId=reference, channel="email") for reference in (segment["id"], "grown", "nobody")]
    assert (await look(shop, runs[0]))["progress"]["total"] is None
    start_worker()

    members = [row["customer_id"] for row in people[18:] if row["city"] == "Wien"]
    for run, expected in zip(runs, (members, members, []), strict=True):
        seen = await until_over(shop, run, eventually)
        assert (seen["status"], seen["progress"]["total"]) == ("completed", len(expected))
        assert [line["customerId"] for line in await lines(shop, run)] == expected
        assert read(await results(shop, run, format="parquet")).num_rows == len(expected)


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
async def test_no_customer_is_decided_twice_when_a_worker_is_lost(
    shop: Shop, start_worker: StartWorker, eventually: Eventually, signal_number: int
) -> None:
    ids = [f"c{number}" for number in range(6000)]
    first = start_worker()
    run = await start(shop, customerIds=ids, channel="web", limit=1)
    await until(shop, run, eventually, lambda seen: seen["progress"]["processed"] > 0)
    first.send_signal(signal_number)
    assert (await look(shop, run))["status"] in {"queued", "running"}
    start_worker()
    seen = await until_over(shop, run, eventually)
    if signal_number == signal.SIGSTOP:
        first.send_signal(signal.SIGCONT)
        other = await start(shop, customerIds=["other"], channel="email", **{"async": True})
        await until_over(shop, other, eventually)

    assert (seen["status"], seen["progress"]["processed"]) == ("completed", 6000)
    found = await lines(shop, run)
    assert [result["customerId"] for result in found] == ids
    rows = await shop.rows(
        "SELECT customer_id, recommendation_id::text AS id FROM decision_traces"
        " WHERE tenant_id = %(tenant_id)s AND customer_id <> 'other'"
    )
    assert Counter(row["customer_id"] for row in rows) == Counter(ids)
    assert {f"rec_{row['id']}" for row in rows} == {result["recommendationId"] for result in found}
    shown = await shop.rows("SELECT count(*) AS n FROM interactions WHERE tenant_id = %(tenant_id)s")
    assert shown[0]["n"] == 6000


async def test_caps_hold_between_a_run_and_single_decisions(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 2})
    start_worker()
    ids = [f"c{number}" for number in range(40)]
    runs = [await start(shop, customerIds=ids, channel="web", limit=1, **{"async": True}) for _ in range(4)]
    for id_ in ids[:20]:
        await shop.recommend(id_, channel="web", limit=1)
    for run in runs:
        assert (await until_over(shop, run, eventually))["status"] == "completed"

    shown = await shop.rows(
        "SELECT customer_id, count(*) AS n FROM interactions WHERE tenant_id = %(tenant_id)s GROUP BY customer_id"
    )
    assert {row["customer_id"]: row["n"] for row in shown} == dict.fromkeys(ids, 2)


async def test_a_system_wide_cap_is_filled_exactly_by_a_run_and_single_decisions(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    cap = await shop.create("frequency-caps", name="webs", scope="channel", scopeId="web", maxVolume=93, period="daily")
    start_worker()
    run = await start(
        shop, customerIds=[f"r{number}" for number in range(600)], channel="web", limit=1, **{"async": True}
    )
    for number in range(30):
        await shop.recommend(f"s{number}", channel="web", limit=1)
    seen = await until_over(shop, run, eventually)

    assert (seen["status"], seen["summary"]["customersFailed"]) == ("completed", 0)
    assert (await shop.get(f"frequency-caps/{cap['id']}"))["currentCount"] == 93
    shown = await shop.rows("SELECT count(*) AS n FROM interactions WHERE tenant_id = %(tenant_id)s")
    assert shown[0]["n"] == 93


async def test_one_customers_fault_is_their_own(
    shop: Shop, start_worker: StartWorker, eventually: Eventually, database_url: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute("ALTER TABLE customers ADD CONSTRAINT no_c7 CHECK (customer_id <> 'c7')")
    start_worker()
    ids = [f"c{number}" for number in range(20)]
    run = await start(shop, customerIds=ids, channel="email", **{"async": True})
    seen = await until_over(shop, run, eventually)

    assert (seen["status"], seen["summary"]["customersFailed"]) == ("completed", 1)
    found = await lines(shop, run)
    assert [line["customerId"] for line in found] == ids
    assert [line["customerId"] for line in found if "code" in line] == ["c7"]
    assert found[7].keys() == {"customerId", "code", "message"}
    rows = read(await results(shop, run, format="parquet")).to_pylist()
    assert (rows[7]["customerId"], rows[7]["decisions"], rows[7]["code"]) == ("c7", None, found[7]["code"])


async def test_a_run_is_cancelled_before_and_while_it_runs(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    def cancel(run: dict[str, Any]) -> Awaitable[httpx.Response]:
        return shop.api.viewer.post(f"/api/v1/runs/{run['runId']}/cancel")

    waiting = await start(shop, customerIds=["a"], **{"async": True})
    queued = await look(shop, waiting)
    assert (queued["status"], queued["summary"], queued["startedAt"]) == ("queued", None, None)
    assert queued["progress"] == {"processed": 0, "total": 1, "ratePerSecond": None, "etaSeconds": None}
    assert (await results(shop, waiting)).status_code == 409
    cancelled = await cancel(waiting)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert await lines(shop, waiting) == []
    assert (await cancel(waiting)).status_code == 200

    start_worker()
    long = await start(shop, customerIds=[f"c{number}" for number in range(20_000)], channel="email", limit=1)
    await until(shop, long, eventually, lambda seen: seen["progress"]["processed"] > 0)
    asked = await cancel(long)
    assert (asked.status_code, asked.json()) == (202, long)
    over = await until_over(shop, long, eventually)
    assert over["status"] == "cancelled"
    found = await lines(shop, long)
    assert len(found) == over["progress"]["processed"] < 20_000
    traces = await shop.rows("SELECT count(*) AS n FROM decision_traces WHERE tenant_id = %(tenant_id)s")
    assert traces[0]["n"] == len(found)


async def test_who_may_start_and_see_a_run(shop: Shop, other_shop: Shop) -> None:
    run = await start(shop, customerIds=["a"], **{"async": True})
    for path in ("", "/results", "/cancel"):
        method = "POST" if path == "/cancel" else "GET"
        url = f"/api/v1/runs/{run['runId']}{path}"
        assert (await other_shop.api.admin.request(method, url)).status_code == 404
        assert (await shop.api.anonymous.request(method, url)).status_code == 401
        assert (await shop.api.viewer.request(method, f"/api/v1/runs/no-uuid{path}")).status_code == 404
    assert (await results(shop, run, format="csv")).status_code == 400
    assert (await results(other_shop, run, format="csv")).status_code == 404
    await other_shop.create("schemas", name="people", key="people", fields=[{"name": "customer_id"}])
    theirs = await other_shop.create("segments", name="theirs", baseSchemaId="people", status="active")
    foreign = await shop.api.viewer.post("/api/v1/decide", json={"segmentId": theirs["id"]})
    assert (foreign.status_code, foreign.json()["error"]["details"][0]["path"]) == (404, "$.segmentId")
    body = {"customerIds": ["a"], "async": True}
    assert (await shop.api.anonymous.post("/api/v1/decide", json=body)).status_code == 401


async def test_a_wrong_run_is_refused_and_nothing_is_stored(shop: Shop) -> None:
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"customerIds": [], "async": True}, 400),
        ({"async": True}, 400),
        ({"customerIds": ["a"], "async": "yes"}, 400),
        ({"customerIds": ["a"], "decisionFlowKey": "gone", "async": True}, 404),
        ({"segmentId": "gone"}, 404),
        ({"segmentId": ""}, 400),
        ({"segmentId": "gone", "customerIds": ["a"]}, 400),
        ({"customerIds": ["c"] * 1_000_001}, 400),
        ({"customerIds": ["c" * 200] * 60_000}, 413),
    ]
    for body, status in wrong:
        answer = await shop.api.viewer.post("/api/v1/decide", json=body)
        assert answer.status_code == status, answer.text
    many = [{"customerId": str(number % 10)} for number in range(10)]
    assert (await shop.api.viewer.post("/api/v1/decide", json={"customers": many})).status_code == 200
    assert (await shop.rows("SELECT count(*) AS n FROM decision_runs"))[0]["n"] == 0
