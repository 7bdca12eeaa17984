"""Analyses through the worker's handler and the real ML worker: one answer in both, a stand-in where one is missing."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from kaireon_application.errors import NotFound, Unavailable, Unprocessable
from kaireon_application.learning.analysis import (
    LOCAL_ROWS,
    AnalysisPlan,
    Engine,
)
from kaireon_application.learning.run_analysis import JOB_TYPE, AnalyzePayload, RunAnalysis
from kaireon_application.platform.job import Job, JobCancelled, JobStatus, Queue
from kaireon_runtime.metrics import Metrics
from kaireon_storage.learning.analyst import build_analyst
from kaireon_storage.ml_analyst import MlAnalyst
from kaireon_storage.postgres.database import Database
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.platform.tenant import Tenant
from tests.core.learning.planted import capped_at_three, planted_creatives, planted_happenings, planted_rows
from tests.ml_worker.analysis_desk import NOW, Desk
from tests.ml_worker.conftest import Process, StartMlWorker
from tests.ml_worker.planted_tenant import plant_creatives, plant_history, plant_schema

SINCE = NOW - timedelta(days=45)
MANY = LOCAL_ROWS + 400


@pytest.fixture
def desk(database: Database, database_url: str, tenant: Tenant) -> Desk:
    """A tenant whose analyses are done here."""
    return Desk(database, database_url, tenant.tenant_id)


def without_engine(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "engine"}


async def test_health_names_what_the_product_documents(ml_worker: Process) -> None:
    async with ml_worker.client() as client:
        capabilities = (await client.get("/health")).json()["capabilities"]
    assert {"policy_analysis", "segmentation", "content_analysis"} <= set(capabilities)


async def test_up_to_five_thousand_rows_are_clustered_here(desk: Desk, ml_worker: Process) -> None:
    rows, kinds = planted_rows(900)
    await plant_schema(desk.database, desk.tenant_id, rows)
    answer = await desk.answer(desk.segments(), ml_worker_url=ml_worker.url)
    assert (answer["engine"], answer["sampled"], answer["fallbackReason"]) == ("local", False, None)
    assert answer["sampleSize"] == answer["totalRows"] == 900
    assert answer["clusterCount"] == 3
    assert sorted(one["size"] for one in answer["clusters"]) == pytest.approx(
        sorted(kinds.count(kind) for kind in range(3)), abs=30
    )
    assert answer["fields"] == ["age", "income", "tier", "owner"]
    assert answer["summary"] is answer["summaryError"] is None


async def test_more_rows_are_clustered_by_the_ml_worker_all_of_them(desk: Desk, ml_worker: Process) -> None:
    rows, _ = planted_rows(MANY)
    await plant_schema(desk.database, desk.tenant_id, rows)
    answer = await desk.answer(desk.segments(), ml_worker_url=ml_worker.url)
    assert (answer["engine"], answer["sampled"], answer["sampleSize"]) == ("ml-worker", False, MANY)
    assert answer["totalRows"] == MANY
    assert answer["clusterCount"] == 3
    assert answer["fallbackReason"] is None


@pytest.mark.parametrize("is_configured", [False, True])
async def test_without_the_ml_worker_a_sample_is_clustered_here_and_says_so(desk: Desk, is_configured: bool) -> None:
    rows, _ = planted_rows(MANY)
    await plant_schema(desk.database, desk.tenant_id, rows)
    gone = f"http://127.0.0.1:{free_port()}" if is_configured else None
    answer = await desk.answer(desk.segments(), ml_worker_url=gone)
    assert (answer["engine"], answer["sampled"], answer["sampleSize"]) == ("local", True, LOCAL_ROWS)
    assert answer["totalRows"] == MANY
    assert answer["fallbackReason"] == ("ml_worker_failed" if is_configured else "ml_worker_not_configured")
    assert answer["clusterCount"] == 3
    assert f'fallbackReason="{answer["fallbackReason"]}"' in desk.metrics.render().decode()


async def test_a_refused_token_is_a_failure_of_the_ml_worker(desk: Desk, start_ml_worker: StartMlWorker) -> None:
    await plant_schema(desk.database, desk.tenant_id, planted_rows(MANY)[0])
    guarded = start_ml_worker("a-secret")
    refused = await desk.answer(desk.segments(), ml_worker_url=guarded.url)
    taken = await desk.answer(desk.segments(), ml_worker_url=guarded.url, ml_worker_token="a-secret")
    assert (refused["engine"], refused["fallbackReason"]) == ("local", "ml_worker_failed")
    assert taken["engine"] == "ml-worker"
    async with httpx.AsyncClient(base_url=guarded.url) as client:
        assert (await client.post("/analyze/segments", json={})).status_code == 403


async def test_both_engines_say_the_same_of_the_same_rows(desk: Desk, ml_worker: Process) -> None:
    await plant_schema(desk.database, desk.tenant_id, planted_rows(700)[0])
    await plant_history(
        desk.database, desk.tenant_id, planted_happenings(capped_at_three, seed=1, customers=60, per_day=3), SINCE
    )
    await plant_creatives(desk.database, desk.tenant_id, planted_creatives(60))
    here, there = build_analyst(desk.database, Engine.LOCAL, 600), MlAnalyst(ml_worker.url)
    plans: list[AnalysisPlan] = [
        # 600 of 700 rows: the same sample, too.
        desk.segments(sample_size=600, seed=5),
        desk.policies(sample_size=600, seed=5),
        desk.content(seed=5, texts=["a free card"]),
    ]
    for plan in plans:
        local, remote = await here.analyze(plan), await there.analyze(plan)
        assert (local.engine, remote.engine) == (Engine.LOCAL, Engine.ML_WORKER)
        assert without_engine(msgspec.to_builtins(local)) == without_engine(msgspec.to_builtins(remote))


async def test_another_seed_draws_another_sample(desk: Desk) -> None:
    await plant_schema(desk.database, desk.tenant_id, planted_rows(300)[0])
    answers = [await desk.answer(desk.segments(sample_size=100, seed=seed)) for seed in (1, 1, 2)]
    assert answers[0] == answers[1]
    assert answers[0]["clusters"] != answers[2]["clusters"]
    assert {(one["sampled"], one["sampleSize"], one["totalRows"]) for one in answers} == {(True, 100, 300)}


@pytest.mark.parametrize("is_remote", [False, True])
async def test_planted_fatigue_is_found_by_both_engines(desk: Desk, ml_worker: Process, is_remote: bool) -> None:
    happenings = planted_happenings(capped_at_three, seed=2, customers=120, days=30, per_day=4)
    if not is_remote:
        happenings = [one for one in happenings if int(one.customer_id[1:]) < 36]
    assert (len(happenings) > LOCAL_ROWS) == is_remote
    await plant_history(desk.database, desk.tenant_id, happenings, SINCE)
    answer = await desk.answer(desk.policies(), ml_worker_url=ml_worker.url)
    assert (answer["engine"], answer["sampled"]) == (("ml-worker", False) if is_remote else ("local", False))
    assert answer["totalRows"] == answer["sampleSize"] == len(happenings)
    assert answer["contacts"]["count"] == sum(one.is_contact for one in happenings)
    assert answer["verdict"] == "suggested"
    (suggestion,) = answer["suggestions"]
    policy, evidence = suggestion["policy"], suggestion["evidence"]
    assert (policy["ruleType"], policy["config"], policy["scope"]) == ("frequency_cap", {"maxPerDay": 3}, "global")
    assert evidence["blocked"]["rate"] < evidence["sameCustomers"]["rate"]


async def test_a_sample_holds_whole_customers(desk: Desk) -> None:
    happenings = planted_happenings(capped_at_three, seed=2, customers=60, days=20, per_day=4)
    await plant_history(desk.database, desk.tenant_id, happenings, SINCE)
    answer = await desk.answer(desk.policies(sample_size=1_000))
    assert answer["sampled"]
    assert answer["totalRows"] == len(happenings)
    by_customer = {one.customer_id: 0 for one in happenings}
    for one in happenings:
        by_customer[one.customer_id] += 1
    assert 1_000 - max(by_customer.values()) <= answer["sampleSize"] <= 1_000


async def test_policies_look_no_further_back_and_at_nothing_else_than_asked(desk: Desk) -> None:
    happenings = planted_happenings(capped_at_three, seed=2, customers=20, days=10, per_day=2)
    offer = UUID(int=77)
    await plant_history(desk.database, desk.tenant_id, happenings, SINCE, offer_id=offer)
    await plant_history(desk.database, desk.tenant_id, happenings, SINCE - timedelta(days=400))
    everything = await desk.answer(desk.policies(lookback_days=730))
    recent = await desk.answer(desk.policies())
    of_offer = await desk.answer(desk.policies(lookback_days=730, scope="offer", scope_id=str(offer)))
    assert everything["totalRows"] == 2 * len(happenings)
    assert recent["totalRows"] == of_offer["totalRows"] == len(happenings)


@pytest.mark.parametrize("is_remote", [False, True])
async def test_planted_words_are_found_by_both_engines(desk: Desk, ml_worker: Process, is_remote: bool) -> None:
    await plant_creatives(desk.database, desk.tenant_id, planted_creatives(90))
    plan = desk.content(texts=["a free card", "xyzzy"])
    engine = MlAnalyst(ml_worker.url) if is_remote else build_analyst(desk.database, Engine.LOCAL, LOCAL_ROWS)
    answer = msgspec.to_builtins(await engine.analyze(plan))
    assert [(one["term"], one["direction"]) for one in answer["terms"][:2]] == [("free", "higher"), ("hurry", "lower")]
    assert answer["isPredictive"]
    assert answer["creativeCount"] == answer["totalRows"] == 90
    known, unknown = answer["predictions"]
    assert known["low"] <= known["predictedRate"] <= known["high"]
    assert known["predictedRate"] > answer["overall"]["rate"]
    assert (unknown["knownTerms"], unknown["predictedRate"]) == (0, None)
    # Addresses are no words.
    assert not any("http" in one["term"] or "example" in one["term"] for one in answer["terms"])


async def test_refusals_of_the_ml_worker_are_refusals(desk: Desk, ml_worker: Process) -> None:
    rows = [{**row, "age": 1, "income": 2.0, "tier": "a", "owner": True} for row in planted_rows(MANY)[0]]
    await plant_schema(desk.database, desk.tenant_id, rows)
    record = await desk.run(desk.segments(), ml_worker_url=ml_worker.url)
    assert (record.status, record.error["code"]) == (JobStatus.FAILED, "constant_features")
    remote = MlAnalyst(ml_worker.url)
    with pytest.raises(Unprocessable, match="creatives"):
        await remote.analyze(desk.content())
    with pytest.raises(NotFound):
        await remote.analyze(desk.segments(schema_key="gone"))


@pytest.mark.parametrize("path", ["segments", "policies", "content"])
async def test_the_ml_worker_answers_nonsense_with_a_reason(ml_worker: Process, path: str) -> None:
    async with ml_worker.client() as client:
        for body in (b"{}", b"[]", b"\xff", b'{"kind": "nothing"}'):
            answer = await client.post(f"/analyze/{path}", content=body)
            assert answer.status_code == 400
            assert answer.json()["error"]["message"]


Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def server(speak: Speak) -> AsyncGenerator[str]:
    """A server that reads one request and then does what it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await speak(reader, writer)
        except ConnectionError:
            return
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def garbage(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
    await writer.drain()


async def cut_off(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
    await writer.drain()


async def elsewhere(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()


async def old_version(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b'{"detail":"Not Found"}'
    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


@pytest.mark.parametrize("speak", [endless, garbage, cut_off, elsewhere, old_version])
async def test_whatever_the_ml_worker_does_the_worker_answers(desk: Desk, speak: Speak) -> None:
    await plant_schema(desk.database, desk.tenant_id, planted_rows(MANY)[0])
    async with server(speak) as url:
        with pytest.raises(Unavailable):
            await MlAnalyst(url).analyze(desk.segments())
        if speak is endless:
            answer = await desk.answer(desk.segments(max_clusters=3), ml_worker_url=url)
            assert (answer["engine"], answer["fallbackReason"]) == ("local", "ml_worker_failed")


class Impatient:
    """A run whose owner cancels it as soon as it says anything."""

    def __init__(self, plan: AnalysisPlan) -> None:
        payload = msgspec.to_builtins(AnalyzePayload(plan=plan))
        self.job = Job(
            id=uuid4(), tenant_id=plan.tenant_id, queue=Queue.BATCH, type=JOB_TYPE, payload=payload, attempt=1
        )
        self.lease_token = uuid4()

    async def report(self, processed: int, total: int | None) -> None:
        raise JobCancelled


@pytest.mark.parametrize("is_remote", [False, True])
async def test_cancelling_ends_an_analysis_at_its_next_step(
    desk: Desk, ml_worker: Process, database_url: str, is_remote: bool
) -> None:
    await plant_schema(desk.database, desk.tenant_id, planted_rows(MANY if is_remote else 4_000)[0])
    plan = desk.segments(max_clusters=20)
    local = build_analyst(desk.database, Engine.LOCAL, LOCAL_ROWS)
    remote = MlAnalyst(ml_worker.url) if is_remote else None
    analysis = RunAnalysis(
        counter=local, local=local, has_learners=True, ml_worker=remote, summarizer=None, metrics=Metrics()
    )
    with pytest.raises(JobCancelled):
        await analysis(Impatient(plan))
    deadline = time.monotonic() + 60
    if is_remote:
        # Its slots are free again: both are needed for the answers.
        plans = [desk.segments(max_clusters=2, seed=seed) for seed in (1, 2)]
        answers = await asyncio.gather(*(MlAnalyst(ml_worker.url).analyze(one) for one in plans))
        assert [one.engine for one in answers] == [Engine.ML_WORKER] * 2
    else:
        while any("asyncio" in thread.name and _is_clustering(thread) for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


def _is_clustering(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    names = set[str]()
    while frame is not None:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return "find_clusters" in names


async def eloquent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    body = msgspec.json.encode({"choices": [{"message": {"content": "Three groups."}}]})
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


@pytest.mark.parametrize(
    ("speak", "summary", "error"), [(eloquent, "Three groups.", None), (garbage, None, "not_json")]
)
async def test_words_are_added_where_a_language_model_is_configured_and_never_missed(
    desk: Desk, speak: Speak, summary: str | None, error: str | None
) -> None:
    await plant_schema(desk.database, desk.tenant_id, planted_rows(100)[0])
    async with server(speak) as url:
        settings = {"ai_base_url": url, "ai_model": "m", "ai_api_key": "sk-secret"}
        answer = await desk.answer(desk.segments(), **settings)
    assert (answer["summary"], answer["summaryError"]) == (summary, error)
    assert answer["clusterCount"] == 3
    assert "sk-secret" not in str(answer)
