"""Traces of real processes, as a collector gets them: one through the API, the worker and the publisher."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from kaireon_testkit.native.collector import Collector, running_collector
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.shop import stock
from tests.api.test_process import connected, environment, started, until_ready
from tests.outbox_publisher.conftest import STREAM, StreamReader

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from kaireon_testkit.platform.tenant import Tenant
    from tests.api.conftest import StartWorker

CUSTOMER = "marker-91c2"
WEB = {"customerId": CUSTOMER, "channel": "web", "attributes": {"email": f"{CUSTOMER}@example.org"}}
PARTS = ("decision load", "decision decide", "decision commit")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that every process of this test sends to, soon."""
    with running_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield running


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.05)


@contextmanager
def _publishing(variables: dict[str, str]) -> Generator[None]:
    with subprocess.Popen([sys.executable, "-m", "kaireon_outbox_publisher"], env=variables) as publisher:
        try:
            yield
        finally:
            publisher.terminate()


def _trace(*, flags: str = "01") -> tuple[str, str, dict[str, str]]:
    """Return the ids of a trace and of a span in it, and the header of a caller who is in that span."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return trace_id, span_id, {"traceparent": f"00-{trace_id}-{span_id}-{flags}"}


@pytest.mark.slow
async def test_a_trace_goes_from_a_caller_through_every_tier(
    collector: Collector, tenant: Tenant, database_url: str, redis_url: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    variables = environment(database_url, redis_url)
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    decided, caller, decide = _trace()
    queued, _, enqueue = _trace()
    left_out, _, unsampled = _trace(flags="00")
    with (tmp_path / "api.log").open("wb") as log, started(variables, log), _publishing(variables):
        start_worker()
        await until_ready(url)
        async with connected(url, tenant.api_keys["admin"]) as client:
            await stock(client)
            (await client.post("/api/v1/recommend", json=WEB, headers=unsampled)).raise_for_status()
            (await client.post("/api/v1/recommend", json=WEB, headers=decide)).raise_for_status()
            (await client.get(f"/api/v1/customers/{CUSTOMER}/suppressions", headers=decide)).raise_for_status()
            body = {"customers": [{"customerId": CUSTOMER}], "async": True}
            (await client.post("/api/v1/decide", json=body, headers=enqueue)).raise_for_status()
            await _until(lambda: "send event" in collector.of_trace(decided))
            await _until(lambda: "job decide_run" in collector.of_trace(queued))
            await _until(lambda: {*PARTS, "POST /api/v1/recommend"} <= collector.of_trace(decided).keys())

    spans = collector.of_trace(decided)
    request = spans["POST /api/v1/recommend"]
    assert (request.kind, request.parent_id, request.service) == ("server", caller, "kaireon-api")
    assert request.attributes["http.response.status_code"] == "200"
    assert request.attributes["kaireon.tenant_id"] == str(tenant.tenant_id)
    assert {spans[part].parent_id for part in PARTS} == {request.span_id}
    assert float(spans["decision decide"].attributes["kaireon.stage.ranking_ms"]) > 0
    assert (spans["send event"].kind, spans["send event"].parent_id) == ("producer", request.span_id)
    assert spans["send event"].service == "kaireon-outbox-publisher"
    job = collector.of_trace(queued)["job decide_run"]
    assert (job.kind, job.service, job.attributes["kaireon.outcome"]) == ("consumer", "kaireon-worker", "completed")
    assert job.parent_id == collector.of_trace(queued)["POST /api/v1/decide"].span_id
    assert collector.of_trace(left_out) == {}
    assert not [body for body in collector.bodies if CUSTOMER.encode() in body]


@pytest.mark.slow
async def test_entries_of_the_stream_have_their_fields_and_no_other_when_traced(
    collector: Collector, tenant: Tenant, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    variables = environment(database_url, redis_url)
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    reader = StreamReader(redis_url)
    with (tmp_path / "api.log").open("wb") as log, started(variables, log), _publishing(variables):
        await until_ready(url)
        async with connected(url, tenant.api_keys["admin"]) as client:
            await stock(client)
            (await client.post("/api/v1/recommend", json=WEB)).raise_for_status()
            await _until(reader.entries)
    assert {frozenset(entry) for entry in reader.entries()} == {
        frozenset({"id", "type", "tenantId", "key", "timestamp", "payload"})
    }, STREAM
    reader.close()
