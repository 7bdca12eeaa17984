"""Disks that fill up in the middle of a write: nothing half-written counts, and all of it is there afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest

from kaireon_testkit.native.clones import cloned_database
from tests.api.conftest import (
    Eventually,
    StartWorker,
    api,
    app,
    settings,
    shop,
    start_worker,
)
from tests.api.shop import Shop
from tests.api.test_runs import lines, read, results, start, until_over
from tests.faults.disk import FullDisk, postgres_of_its_own
from tests.faults.patience import eventually as holds_eventually

__all__ = ["api", "app", "settings", "shop", "start_worker"]
pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def disk() -> Iterator[FullDisk]:
    """A server whose disk may be full."""
    with postgres_of_its_own() as started:
        yield started


@pytest.fixture
def database_url(disk: FullDisk) -> Iterator[str]:
    """Every test here is on that server."""
    with cloned_database(disk.template_url) as url:
        yield url


@pytest.fixture
def eventually() -> Eventually:
    """What `tests.api` waits with, with more patience."""
    return holds_eventually


# So many bytes in so many rows that are nobody's: more than a segment of the log.
_FILLER: dict[str, LiteralString] = {
    "decision_run_results": "INSERT INTO decision_run_results"
    " (tenant_id, run_id, place, line, is_error, offer_ids, channel_ids)"
    " SELECT tenant_id, id, number, repeat('x', 1900), false, '{}', '{}'"
    " FROM decision_runs, generate_series(1, 10000) AS number",
    "outbox_events": "INSERT INTO outbox_events (id, tenant_id, type, key, payload, status)"
    " SELECT gen_random_uuid(), tenant_id, 'decision.made.v1', 'filler', to_jsonb(repeat('x', 1830)), 'sent'"
    " FROM tenants, generate_series(1, 10000)",
}


# The filler would be compressed to nothing.
_PLAIN: dict[str, LiteralString] = {
    "decision_run_results": "ALTER TABLE decision_run_results ALTER COLUMN line SET STORAGE PLAIN",
    "outbox_events": "ALTER TABLE outbox_events ALTER COLUMN payload SET STORAGE PLAIN",
}


def fill(database_url: str, table: str) -> None:
    """Make a table larger than a segment of the log, with no free pages at its end."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(_PLAIN[table])
        owner.execute(_FILLER[table])
        owner.execute(f"VACUUM (TRUNCATE) {table}".encode())


async def test_a_batch_run_whose_results_find_no_room_fails_and_is_whole_when_it_is_put_back(
    shop: Shop, disk: FullDisk, database_url: str, start_worker: StartWorker, eventually: Eventually
) -> None:
    ids = [f"c{number}" for number in range(3000)]
    worker = start_worker()
    early = await start(shop, customerIds=["early"], channel="web", limit=1, **{"async": True})
    await until_over(shop, early, eventually)
    fill(database_url, "decision_run_results")
    with disk.full(database_url, "decision_run_results"):
        run = await start(shop, customerIds=ids, channel="web", limit=1)
        failed = await until_over(shop, run, eventually)
        # A part may have found room before; what is shown of it is whole.
        partial = [line["customerId"] for line in await lines(shop, run)]
        assert (failed["status"], failed["error"]["code"]) == ("failed", "UNAVAILABLE")
        assert "XX000" in failed["error"]["message"] or "53100" in failed["error"]["message"]
        assert (failed["attempts"], len(partial)) == (5, failed["progress"]["processed"])
        assert len(partial) < len(ids)
        dead = (await shop.api.admin.get("/api/v1/admin/dlq")).json()
        assert dead["byTopic"] == {"batch-jobs": 1}
        # The worker lives, and what needs no room goes on.
        assert worker.poll() is None
        await shop.recommend("meanwhile", channel="web", limit=1)
    answer = await shop.api.admin.post("/api/v1/admin/dlq", json={"action": "retry", "topic": "batch-jobs"})
    assert answer.json() == {"action": "retry", "requeued": 1}
    seen = await until_over(shop, run, eventually)
    assert (seen["status"], seen["summary"]["customersFailed"]) == ("completed", 0)
    found = await lines(shop, run)
    assert [line["customerId"] for line in found] == ids
    assert all(line["decisions"] for line in found)
    assert read(await results(shop, run, format="parquet")).column("customerId").to_pylist() == ids
    traces = await shop.rows("SELECT customer_id FROM decision_traces WHERE tenant_id = %(tenant_id)s")
    assert Counter(row["customer_id"] for row in traces) == Counter([*ids, "early", "meanwhile"])


async def test_what_finds_no_room_for_its_event_is_not_acknowledged(
    shop: Shop, disk: FullDisk, database_url: str
) -> None:
    decided = await shop.recommend("c1", channel="web", limit=1)
    named = {"recommendationId": decided["recommendationId"], "rank": 1}
    fill(database_url, "outbox_events")
    acknowledged = list[str]()
    with disk.full(database_url, "outbox_events"):
        before = await shop.counts()
        # Gaps between the rows take some of them.
        for number in range(1000):
            answer = await shop.respond(f"k{number}", **named)
            if answer.status_code != 201:
                break
            acknowledged.append(answer.json()["interactionId"])
            before = await shop.counts()
        for path, body in (("respond", {"customerId": "c1", "outcome": "click", **named}), ("recommend", _WHOM)):
            for _ in range(5):
                answer = await shop.api.editor.post(
                    f"/api/v1/{path}", json=body, headers={"Idempotency-Key": f"refused {path}"}
                )
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE"), answer.text
                assert answer.headers["retry-after"]
        assert await shop.counts() == before
    for path, body in (("respond", {"customerId": "c1", "outcome": "click", **named}), ("recommend", _WHOM)):
        answer = await shop.api.editor.post(
            f"/api/v1/{path}", json=body, headers={"Idempotency-Key": f"refused {path}"}
        )
        assert answer.status_code in {200, 201}, answer.text
        assert "idempotent-replayed" not in answer.headers
    events = await shop.rows(
        "SELECT payload ->> 'interactionId' AS id FROM outbox_events WHERE type = 'interaction.recorded.v1'"
    )
    kept = await shop.rows("SELECT id::text FROM interactions WHERE tenant_id = %(tenant_id)s")
    assert sorted(row["id"] for row in events) == sorted(row["id"] for row in kept)
    # Two were shown, one response came afterwards.
    assert len(kept) == len(acknowledged) + 3
    assert set(acknowledged) < {row["id"] for row in kept}


_WHOM = {"customerId": "c2", "channel": "web", "limit": 1}
