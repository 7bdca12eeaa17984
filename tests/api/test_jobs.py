"""Jobs over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import NewJob
from kaireon_storage.postgres.database import Database
from kaireon_testkit.platform.tenant import create_tenant
from tests.api.conftest import Clients, client_of


async def enqueue(api: Clients, queue: Queue = Queue.SEED) -> UUID:
    """Queue a job of a type that nobody runs here."""
    return await api.app.services.jobs.enqueue(api.tenant.tenant_id, NewJob(queue=queue, type="some_type"))


async def alter(database: Database, job_id: UUID, assignments: str) -> None:
    """Make a job's row look as if a worker had been at it."""
    async with database.system_transaction() as connection:
        await connection.execute(f"UPDATE jobs SET {assignments} WHERE id = %s", (job_id,))  # noqa: S608  # pyright: ignore[reportArgumentType]


async def test_job_has_its_documented_form(api: Clients) -> None:
    job_id = await enqueue(api)
    answer = await api.viewer.get(f"/api/v1/jobs/{job_id}")
    body = answer.json()
    assert answer.status_code == 200
    assert isinstance(body.pop("createdAt"), str)
    assert body == {
        "id": str(job_id),
        "queue": "seed-jobs",
        "type": "some_type",
        "status": "queued",
        "attempts": 0,
        "progress": {"processed": 0, "total": None, "ratePerSecond": None, "etaSeconds": None},
        "error": None,
        "result": None,
        "startedAt": None,
        "finishedAt": None,
    }


async def test_running_job_shows_its_rate_and_what_is_left(api: Clients, database: Database) -> None:
    job_id = await enqueue(api)
    await alter(
        database,
        job_id,
        "status = 'running', processed = 5000, total = 10000, started_at = now() - interval '1000 s',"
        "leased_until = now() + interval '1 min'",
    )
    progress = (await api.viewer.get(f"/api/v1/jobs/{job_id}")).json()["progress"]
    assert (progress["processed"], progress["total"]) == (5000, 10000)
    assert progress["ratePerSecond"] == pytest.approx(5, rel=0.05)
    assert progress["etaSeconds"] == pytest.approx(1000, rel=0.05)


async def test_list_is_paged_and_filtered(api: Clients) -> None:
    ids = [str(await enqueue(api)) for _ in range(5)]
    other_id = str(await enqueue(api, Queue.RETRAIN))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query: dict[str, Any] = {"limit": 2, "queue": "seed-jobs"} | ({"cursor": cursor} if cursor else {})
        page = (await api.viewer.get("/api/v1/jobs", params=query)).json()
        assert (page["pagination"]["total"], page["pagination"]["limit"]) == (5, 2)
        seen += [job["id"] for job in page["data"]]
        cursor = page["pagination"]["nextCursor"]
        assert page["pagination"]["hasMore"] == (cursor is not None)
    assert seen == ids[::-1]
    retrain = (await api.viewer.get("/api/v1/jobs?queue=retrain-jobs&status=queued")).json()
    assert [job["id"] for job in retrain["data"]] == [other_id]
    assert (await api.viewer.get("/api/v1/jobs?status=dead")).json()["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "status=odd", "queue=odd"])
async def test_bad_query_is_400(api: Clients, query: str) -> None:
    answer = await api.viewer.get(f"/api/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")


async def test_job_of_another_tenant_is_not_there(api: Clients, database: Database) -> None:
    other = await create_tenant(database, "other")
    job_id = await enqueue(api)
    async with client_of(api.app, other.api_keys["admin"]) as stranger:
        assert (await stranger.get(f"/api/v1/jobs/{job_id}")).status_code == 404
        assert (await stranger.post(f"/api/v1/jobs/{job_id}/cancel")).status_code == 404
        assert (await stranger.get("/api/v1/jobs")).json()["data"] == []


@pytest.mark.parametrize("job_id", ["0b50f3ce-6a35-4d8c-8b1c-3f2f3d8a1c55", "no-uuid"])
async def test_unknown_job_is_404(api: Clients, job_id: str) -> None:
    assert (await api.viewer.get(f"/api/v1/jobs/{job_id}")).status_code == 404
    assert (await api.editor.post(f"/api/v1/jobs/{job_id}/cancel")).status_code == 404


async def test_cancelling(api: Clients, database: Database) -> None:
    queued_id = await enqueue(api)
    assert (await api.viewer.post(f"/api/v1/jobs/{queued_id}/cancel")).status_code == 403
    cancelled = await api.editor.post(f"/api/v1/jobs/{queued_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["finishedAt"] is not None
    running_id = await enqueue(api)
    await alter(database, running_id, "status = 'running', leased_until = now() + interval '1 min'")
    asked = await api.editor.post(f"/api/v1/jobs/{running_id}/cancel")
    assert asked.status_code == 202
    assert asked.json() == {"jobId": str(running_id), "statusUrl": f"/api/v1/jobs/{running_id}"}
    over_id = await enqueue(api)
    await alter(database, over_id, "status = 'completed'")
    assert (await api.editor.post(f"/api/v1/jobs/{over_id}/cancel")).status_code == 409


async def test_job_whose_worker_is_gone_is_cancelled_at_once(api: Clients, database: Database) -> None:
    job_id = await enqueue(api)
    await alter(database, job_id, "status = 'running', leased_until = now() - interval '1 s'")
    answer = await api.editor.post(f"/api/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
