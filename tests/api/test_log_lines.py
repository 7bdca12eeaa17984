"""What processes write about requests and jobs: on whose behalf, and nothing about customers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS
from kaireon_testkit.platform.tenant import Tenant
from tests.api.shop import stock
from tests.api.test_process import connected, environment, started, until_ready

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.api.conftest import StartWorker

# A customer, and what is known of them: no line may hold it.
MARKER = "marker-7f3a"
CUSTOMER = f"{MARKER}-id"
KNOWN = {"email": f"{MARKER}@example.org", "income": f"{MARKER}-income"}
WEB = {"customerId": CUSTOMER, "channel": "web", "attributes": KNOWN}
REFUSE = "ALTER TABLE {table} ADD CONSTRAINT nobody CHECK (customer_id NOT LIKE 'marker%') NOT VALID"


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


async def _ask_for_everything(client: httpx.AsyncClient) -> None:
    """Call what takes a customer, in ways that succeed and in ways that do not."""
    made = (await client.post("/api/v1/recommend", json=WEB)).raise_for_status().json()
    response = {"customerId": CUSTOMER, "recommendationId": made["recommendationId"], "rank": 1, "outcome": "click"}
    await client.post("/api/v1/respond", json={**response, "idempotencyKey": "one"})
    await client.post("/api/v1/respond", json={**response, "outcome": CUSTOMER, "idempotencyKey": "two"})
    await client.post("/api/v1/recommend", json={**WEB, "limit": MARKER})
    await client.post("/api/v1/recommend", json={**WEB, MARKER: 1})
    await client.post("/api/v1/recommend", content=f'{{"customerId": "{CUSTOMER}"')
    await client.post("/api/v1/events", json={"eventType": "view", "customerId": CUSTOMER, "properties": KNOWN})
    await client.post("/api/v1/dsar", json={"customerId": CUSTOMER, "type": "access"})
    for path in (
        f"/api/v1/customers/{CUSTOMER}/eligibility",
        f"/api/v1/customers/{CUSTOMER}/suppressions",
        f"/api/v1/interaction-history?customerId={CUSTOMER}",
        f"/api/v1/nowhere/{CUSTOMER}",
    ):
        await client.get(path)


async def _run_to_its_end(client: httpx.AsyncClient) -> None:
    run = await client.post("/api/v1/decide", json={"customers": [{"customerId": CUSTOMER}], "async": True})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.get(f"/api/v1/runs/{run.json()['runId']}")).json()["status"] in {"queued", "running"}:
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_no_line_is_about_a_customer_and_each_says_on_whose_behalf(
    tenant: Tenant, database_url: str, redis_url: str, tmp_path: Path, start_worker: StartWorker
) -> None:
    variables = environment(database_url, redis_url, LOG_LEVEL="http")
    api_log, worker_log = tmp_path / "api.log", tmp_path / "worker.log"
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    with api_log.open("wb") as log, worker_log.open("wb") as jobs_log, started(variables, log):
        start_worker(stderr=jobs_log.fileno())
        await until_ready(url)
        async with connected(url, tenant.api_keys["admin"]) as client:
            await stock(client)
            await _ask_for_everything(client)
            await _run_to_its_end(client)
            with psycopg.connect(database_url, autocommit=True) as connection:
                for table in ("decision_traces", "interactions"):
                    connection.execute(REFUSE.format(table=table).encode())
            refused = await client.post("/api/v1/recommend", json=WEB, headers={"X-Request-Id": "refused"})
            assert refused.status_code == 503
            await _run_to_its_end(client)

    for log in (api_log, worker_log):
        assert [line for line in log.read_text().splitlines() if MARKER in line] == []
    said = _lines(api_log)
    answered = [line for line in said if line["message"] == "Request answered" and line["route"].startswith("/api/v1/")]
    assert all(line["requestId"] and line["tenantId"] == str(tenant.tenant_id) for line in answered)
    assert Counter(line["status"] for line in answered)[400] >= 3
    (told,) = [line for line in said if line["message"] == "Postgres refused a commit"]
    assert (told["requestId"], told["tenantId"]) == ("refused", str(tenant.tenant_id))
    assert "nobody" in told["reason"]
    of_jobs = [line for line in _lines(worker_log) if "jobId" in line]
    assert {line["tenantId"] for line in of_jobs} == {str(tenant.tenant_id)}
    assert {"job started", "job attempt ended", "Postgres refused a part of a run"} <= {
        line["message"] for line in of_jobs
    }
