"""The dead-letter list over HTTP."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID, uuid4

import pytest

from kaireon_storage.postgres.database import Database
from kaireon_testkit.platform.tenant import create_tenant
from tests.api.conftest import Clients, client_of

URL = "/api/v1/admin/dlq"


async def add_event(database: Database, tenant_id: UUID, event_type: str = "decision.made.v1") -> UUID:
    """Put an event into the dead-letter table."""
    event_id = uuid4()
    async with database.system_transaction() as connection:
        await connection.execute(
            "INSERT INTO outbox_dead_letters (id, tenant_id, type, key, payload, error, attempts, created_at)"
            " VALUES (%s, %s, %s, 'c1', '{\"a\": 1}', 'too large', 5, now() - interval '1 h')",
            (event_id, tenant_id, event_type),
        )
    return event_id


async def add_job(database: Database, tenant_id: UUID, dedupe_key: str | None = None, status: str = "dead") -> UUID:
    """Put a job into the table."""
    job_id = uuid4()
    async with database.system_transaction() as connection:
        await connection.execute(
            "INSERT INTO jobs (id, tenant_id, queue, type, payload, status, attempts, error, finished_at, dedupe_key)"
            " VALUES (%s, %s, 'seed-jobs', 'seed', '{\"b\": 2}', %s, 5,"
            ' \'{"code": "INTERNAL", "message": "it broke"}\', now(), %s)',
            (job_id, tenant_id, status, dedupe_key),
        )
    return job_id


async def rows(database: Database, sql: LiteralString) -> list[dict[str, Any]]:
    """Return what a statement selects."""
    async with database.system_transaction() as connection:
        return await (await connection.execute(sql)).fetchall()


async def test_events_and_jobs_are_one_list(api: Clients, database: Database) -> None:
    event_id, job_id = await add_event(database, api.tenant.tenant_id), await add_job(database, api.tenant.tenant_id)
    body = (await api.admin.get(URL)).json()
    assert (body["totalEvents"], body["alert"]) == (2, "OK")
    assert body["byTopic"] == {"decision.made.v1": 1, "seed-jobs": 1}
    by_id = {event.pop("id"): event for event in body["events"]}
    for event in by_id.values():
        assert isinstance(event.pop("failedAt"), str)
    assert by_id == {
        str(event_id): {"topic": "decision.made.v1", "payload": {"a": 1}, "error": "too large", "retryCount": 5},
        str(job_id): {"topic": "seed-jobs", "payload": {"b": 2}, "error": "INTERNAL: it broke", "retryCount": 5},
    }
    assert set(body) == {"totalEvents", "byTopic", "events", "alert"}


async def test_list_is_filtered_by_topic_and_limited(api: Clients, database: Database) -> None:
    for _ in range(3):
        await add_event(database, api.tenant.tenant_id)
    await add_job(database, api.tenant.tenant_id)
    body = (await api.admin.get(URL, params={"topic": "decision.made.v1", "limit": 2})).json()
    assert (body["totalEvents"], len(body["events"])) == (3, 2)
    assert body["byTopic"] == {"decision.made.v1": 3}


@pytest.mark.parametrize(("count", "alert"), [(10, "OK"), (11, "WARNING"), (100, "WARNING"), (101, "CRITICAL")])
async def test_alert_says_how_bad_it_is(api: Clients, database: Database, count: int, alert: str) -> None:
    for _ in range(count):
        await add_event(database, api.tenant.tenant_id)
    assert (await api.admin.get(URL)).json()["alert"] == alert


async def test_retried_event_is_pending_again_under_its_id(api: Clients, database: Database) -> None:
    event_id, other_id = [await add_event(database, api.tenant.tenant_id) for _ in range(2)]
    answer = await api.admin.post(URL, json={"action": "retry", "eventIds": [str(event_id)]})
    assert (answer.status_code, answer.json()) == (200, {"action": "retry", "requeued": 1})
    [event] = await rows(database, "SELECT id, status, attempts, payload, key FROM outbox_events")
    assert event == {"id": event_id, "status": "pending", "attempts": 0, "payload": {"a": 1}, "key": "c1"}
    assert [row["id"] for row in await rows(database, "SELECT id FROM outbox_dead_letters")] == [other_id]


async def test_retried_job_is_queued_again_under_its_id(api: Clients, database: Database) -> None:
    job_id = await add_job(database, api.tenant.tenant_id)
    answer = await api.admin.post(URL, json={"action": "retry", "topic": "seed-jobs"})
    assert answer.json() == {"action": "retry", "requeued": 1}
    job = (await api.viewer.get(f"/api/v1/jobs/{job_id}")).json()
    assert (job["status"], job["attempts"], job["error"]) == ("queued", 0, None)


async def test_retry_never_makes_two_live_jobs_of_one_dedupe_key(api: Clients, database: Database) -> None:
    tenant_id = api.tenant.tenant_id
    for _ in range(2):
        await add_job(database, tenant_id, dedupe_key="one")
    await add_job(database, tenant_id, dedupe_key="two")
    await add_job(database, tenant_id, dedupe_key="two", status="queued")
    assert (await api.admin.post(URL, json={"action": "retry"})).json()["requeued"] == 1
    queued = await rows(database, "SELECT dedupe_key FROM jobs WHERE status = 'queued' ORDER BY dedupe_key")
    assert [row["dedupe_key"] for row in queued] == ["one", "two"]


async def test_purge_deletes_the_chosen_ones_for_good(api: Clients, database: Database) -> None:
    await add_event(database, api.tenant.tenant_id)
    await add_event(database, api.tenant.tenant_id, "interaction.recorded.v1")
    await add_job(database, api.tenant.tenant_id)
    purged = await api.admin.post(URL, json={"action": "purge", "topic": "decision.made.v1"})
    assert purged.json() == {"action": "purge", "deleted": 1}
    assert (await api.admin.get(URL)).json()["byTopic"] == {"interaction.recorded.v1": 1, "seed-jobs": 1}
    assert (await api.admin.post(URL, json={"action": "purge"})).json()["deleted"] == 2


@pytest.mark.parametrize("action", ["retry", "purge"])
async def test_unknown_id_is_404_and_nothing_happens(api: Clients, database: Database, action: str) -> None:
    event_id = await add_event(database, api.tenant.tenant_id)
    other = await create_tenant(database, "other")
    foreign_id = await add_event(database, other.tenant_id)
    body = {"action": action, "eventIds": [str(event_id), str(foreign_id)]}
    answer = await api.admin.post(URL, json=body)
    assert answer.status_code == 404
    assert answer.json()["error"]["details"][0]["path"] == "$.eventIds[1]"
    assert len(await rows(database, "SELECT 1 FROM outbox_dead_letters")) == 2


BAD_BODIES: list[Any] = [
    {},
    [],
    {"action": "burn"},
    {"action": None},
    {"action": "retry", "ids": []},
    {"action": "retry", "topic": 5},
    {"action": "purge", "topic": "a\0b"},
    {"action": "purge", "eventIds": ["x"]},
    {"action": "purge", "eventIds": [str(UUID(int=number)) for number in range(1001)]},
]


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_bad_body_is_400_and_nothing_happens(api: Clients, database: Database, body: Any) -> None:
    await add_event(database, api.tenant.tenant_id)
    answer = await api.admin.post(URL, json=body)
    assert (answer.status_code, bool(answer.json()["error"]["details"])) == (400, True)
    assert (await api.admin.get(URL)).json()["totalEvents"] == 1


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1.5", "", str(10**30)])
async def test_bad_limit_is_400(api: Clients, limit: str) -> None:
    answer = await api.admin.get(URL, params={"limit": limit})
    assert (answer.status_code, answer.json()["error"]["details"][0]["path"]) == (400, "query.limit")


async def test_no_ids_are_none_and_an_id_named_twice_is_one(api: Clients, database: Database) -> None:
    event_id = str(await add_event(database, api.tenant.tenant_id))
    none: list[dict[str, Any]] = [{"eventIds": []}, {"topic": ""}, {"eventIds": [event_id], "topic": "nope"}]
    for body in none:
        for action, counted in (("retry", "requeued"), ("purge", "deleted")):
            answer = await api.admin.post(URL, json={"action": action, **body})
            assert answer.json() == {"action": action, counted: 0}, body
    answer = await api.admin.post(URL, json={"action": "retry", "eventIds": [event_id, event_id]})
    assert answer.json()["requeued"] == 1


async def test_only_an_admin_of_the_tenant_sees_it(api: Clients, database: Database) -> None:
    await add_event(database, api.tenant.tenant_id)
    for client, status in ((api.anonymous, 401), (api.viewer, 403), (api.editor, 403)):
        assert (await client.get(URL)).status_code == status
        assert (await client.post(URL, json={"action": "purge"})).status_code == status
    other = await create_tenant(database, "other")
    async with client_of(api.app, other.api_keys["admin"]) as stranger:
        assert (await stranger.get(URL)).json()["totalEvents"] == 0
        assert (await stranger.post(URL, json={"action": "purge"})).json()["deleted"] == 0
    assert (await api.admin.get(URL)).json()["totalEvents"] == 1
