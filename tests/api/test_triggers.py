"""Triggers: kept strictly, fired once per event and cooldown, and their actions done by the worker."""

from __future__ import annotations

import hashlib
import hmac
import signal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.api.scoring_service import ScoringService, says, scoring_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from kaireon_api.settings import Settings
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

Body = dict[str, Any]

# Seconds: where other work goes on beside, a worker takes long to start.
PATH = "/api/v1/triggers"
SECRET = "a-very-secret-text"
INSTALLATION_SECRET = "the-secret-of-all"
EVENT: Body = {"eventType": "cart.abandoned", "customerId": "c1", "properties": {"amount": 120, "plan": "gold"}}
RECOMMEND: Body = {"actionType": "fire_recommend", "actionConfig": {"channel": "email", "limit": 1}}
HOOK: Body = {"url": "http://127.0.0.1:9/hook", "secret": "secret://env/HOOK"}


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("EXTERNAL_ENDPOINT_ALLOWLIST", "127.0.0.1")
    monkeypatch.setenv("KAIREON_SECRET_HOOK", SECRET)
    monkeypatch.setenv("WEBHOOK_SIGNING_SECRET", INSTALLATION_SECRET)
    return settings.model_copy(update={"external_endpoint_allowlist": "127.0.0.1"})


@pytest.fixture
async def receiver() -> AsyncIterator[ScoringService]:
    async with scoring_service() as service:
        service.answer = says(b"", "204 No Content")
        yield service


def paths(answer: httpx.Response) -> list[str]:
    return [problem["path"] for problem in answer.json()["error"]["details"]]


async def trigger(shop: Shop, key: str = "t", **given: Any) -> Body:
    body = {"name": key, "key": key, "eventType": "cart.abandoned", **RECOMMEND, **given}
    made = await shop.create("triggers", **body)
    # Every process looks for what was configured four times a second: this one does so now.
    await shop.api.app.services.engine.snapshots.look()
    return made


async def send(shop: Shop, **given: Any) -> int:
    answer = await shop.api.editor.post("/api/v1/events", json={**EVENT, **given})
    assert answer.status_code == 202, answer.text
    return answer.json()["results"][0]["triggersEvaluated"]


async def firings(shop: Shop, key: str = "t") -> list[Body]:
    return (await shop.get(f"triggers/{key}/firings"))["data"]


async def settled(shop: Shop, eventually: Eventually, key: str, status: str, count: int) -> list[Body]:
    async def holds() -> bool:
        return sum(one["status"] == status for one in await firings(shop, key)) == count

    await eventually(holds)
    return await firings(shop, key)


async def test_a_trigger_is_kept_as_it_was_sent(shop: Shop) -> None:
    made = await trigger(shop, condition={"any": [{"field": "amount", "operator": "greater_than", "value": 1}]})
    low = await trigger(shop, "low", priority=10, eventType="x", actionType="decision_request", status="paused")

    assert {name: made[name] for name in ("status", "priority", "cooldownMs", "actionType")} == {
        "status": "active",
        "priority": 50,
        "cooldownMs": 0,
        "actionType": "fire_recommend",
    }
    assert low["actionType"] == "fire_recommend"
    assert [one["key"] for one in (await shop.get("triggers"))["data"]] == ["t", "low"]
    assert [one["key"] for one in (await shop.get("triggers", eventType="x", status="paused"))["data"]] == ["low"]
    assert (await shop.api.viewer.post(PATH, json={})).status_code == 403
    log = (await shop.api.admin.get("/api/v1/audit-logs", params={"entityType": "trigger"})).json()["data"]
    assert [row["action"] for row in log] == ["create", "create"]


BAD: list[tuple[Body, int, list[str]]] = [
    ({"eventType": "a b"}, 400, ["$.eventType"]),
    ({"actionType": "dance"}, 400, ["$.actionType"]),
    ({"condition": {"all": [{"field": "x", "operator": "eq"}, {"field": "", "operator": "over"}]}}, 400,
     ["$.condition.all[1].field", "$.condition.all[1].operator"]),
    ({"condition": {"all": [], "any": []}}, 400, ["$.condition.any"]),
    ({"cooldownMs": -1}, 400, ["$.cooldownMs"]),
    ({"priority": 101}, 400, ["$.priority"]),
    ({"actionConfig": {"limit": 0, "mood": 1}}, 400, ["$.actionConfig.limit", "$.actionConfig.mood"]),
    ({"actionConfig": {"decisionFlowKey": "nope"}}, 404, ["$.actionConfig.decisionFlowKey"]),
    ({"actionType": "enroll_journey", "actionConfig": {}}, 400, ["$.actionConfig.journeyId"]),
    ({"actionType": "enroll_journey", "actionConfig": {"journeyId": "nope"}}, 404, ["$.actionConfig.journeyId"]),
    ({"actionType": "webhook", "actionConfig": {**HOOK, "url": "http://169.254.169.254/"}}, 400,
     ["$.actionConfig.url"]),
    ({"actionType": "webhook", "actionConfig": {**HOOK, "url": "ftp://example.com"}}, 400, ["$.actionConfig.url"]),
    ({"actionType": "webhook", "actionConfig": {**HOOK, "secret": "plain"}}, 400, ["$.actionConfig.secret"]),
    ({"actionType": "webhook", "actionConfig": {**HOOK, "headers": {"a b": "x"}}}, 400, ["$.actionConfig.headers.a b"]),
    ({"actionType": "update_attribute", "actionConfig": {"schemaId": "nope", "field": "x"}}, 404,
     ["$.actionConfig.schemaId"]),
]  # fmt: skip


async def test_a_trigger_is_checked_strictly(shop: Shop) -> None:
    for given, status, where in BAD:
        body = {"name": "T", "eventType": "x", **RECOMMEND, **given}
        refused = await shop.api.editor.post(PATH, json=body)

        assert refused.status_code == status, (given, refused.text)
        assert [path.partition("[`")[0] for path in paths(refused)] == where or "headers" in where[0], given


async def test_a_trigger_fires_where_its_condition_holds_and_its_cooldown_is_over(shop: Shop) -> None:
    await trigger(shop, condition={"field": "properties.amount", "operator": "gt", "value": 100}, cooldownMs=3_600_000)
    await trigger(shop, "other", condition={"field": "amount", "operator": "lt", "value": 100})
    await trigger(shop, "paused", status="paused")

    for given in ({}, {"eventId": "e1"}, {"eventId": "e1"}, {"customerId": "c2"}, {"properties": {"amount": 1}}):
        assert await send(shop, **given) == 2
    assert await send(shop, eventType="page.viewed") == 0

    assert sorted(one["customerId"] for one in await firings(shop)) == ["c1", "c2"]
    assert [one["customerId"] for one in await firings(shop, "other")] == ["c1"]
    assert await firings(shop, "paused") == []
    await shop.run("UPDATE trigger_cooldowns SET fired_at = fired_at - interval '1 h' WHERE tenant_id = %(tenant_id)s")
    await send(shop)
    assert len(await firings(shop)) == 3


@pytest.mark.parametrize(("own", "secret"), [(HOOK, SECRET), ({}, INSTALLATION_SECRET)], ids=["own", "of-all"])
async def test_a_webhook_is_signed_and_tried_again_until_it_is_taken(
    own: Body, secret: str, shop: Shop, receiver: ScoringService, start_worker: StartWorker, eventually: Eventually
) -> None:
    receiver.answer = says(b"", "503 Service Unavailable")
    config = {**own, "url": receiver.url, "headers": {"X-Team": "blue"}}
    await trigger(shop, actionType="webhook", actionConfig=config)
    start_worker()

    await send(shop)

    async def two_calls() -> bool:
        return receiver.calls >= 2

    await eventually(two_calls)
    receiver.answer = says(b"", "204 No Content")
    (fired,) = await settled(shop, eventually, "t", "completed", 1)
    assert (fired["result"], fired["actionType"]) == ({"status": 204}, "webhook")
    for call in receiver.received:
        content = msgspec.json.encode(call.body)
        expected = "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
        assert call.headers["x-kaireon-signature"] == expected
        assert (call.headers["x-kaireon-delivery"], call.headers["x-team"]) == (fired["id"], "blue")
        assert (call.body["customerId"], call.body["properties"]) == ("c1", EVENT["properties"])


async def test_a_webhook_that_nobody_takes_is_dead_lettered_and_a_blocked_one_refused(
    shop: Shop, receiver: ScoringService, start_worker: StartWorker, eventually: Eventually
) -> None:
    receiver.answer = says(b"", "404 Not Found")
    await trigger(shop, actionType="webhook", actionConfig={**HOOK, "url": receiver.url})
    await trigger(shop, "secretless", actionType="webhook", actionConfig={**HOOK, "secret": "secret://env/NOPE"})
    await trigger(shop, "redirected", actionType="webhook", actionConfig={**HOOK, "url": receiver.url + "/x"})
    start_worker()

    await send(shop)

    (dead,) = await settled(shop, eventually, "t", "dead", 1)
    assert (dead["attempts"], dead["error"]["code"]) == (5, "webhook_failed")
    (refused,) = await settled(shop, eventually, "secretless", "failed", 1)
    assert (refused["attempts"], refused["error"]["code"]) == (1, "webhook_blocked")
    letters = (await shop.api.admin.get("/api/v1/admin/dlq")).json()
    assert letters["byTopic"]["journey-jobs"] >= 1


PEOPLE: list[Body] = [
    {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
    {"name": "plan", "dataType": "varchar"},
    {"name": "spent", "dataType": "integer"},
]


async def people(shop: Shop, *ids: str) -> None:
    rows = [{"customer_id": id_, "plan": "tin"} for id_ in ids]
    stored = await shop.api.editor.post("/api/v1/schemas/people/data", json={"rows": rows})
    assert stored.status_code == 201, stored.text


async def test_actions_enrol_recommend_and_set_attributes_once(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await shop.create("schemas", name="people", key="people", fields=PEOPLE)
    await people(shop, "c1")
    nodes = [{"id": "a", "type": "entry_trigger"}, {"id": "w", "type": "wait", "config": {"delayHours": 1}}]
    definition = {"nodes": nodes, "edges": [{"source": "a", "target": "w"}]}
    await shop.create("journeys", name="J", key="j", status="active", definition=definition)
    await trigger(shop, "enrol", actionType="enroll_journey", actionConfig={"journeyId": "j"})
    await trigger(shop, "recommend")
    config = {"schemaId": "people", "field": "plan", "valueFrom": "properties.plan"}
    await trigger(shop, "set", actionType="update_attribute", actionConfig=config)
    await trigger(shop, "bad", actionType="update_attribute", actionConfig={**config, "field": "spent"})
    await trigger(shop, "circle", eventType="customer.updated", actionType="update_attribute", actionConfig=config)
    await trigger(shop, "updated", eventType="customer.updated", condition={"field": "plan", "operator": "exists"})
    worker = start_worker()

    assert await send(shop, eventId="e1") == 4

    async def some_done() -> bool:
        found = [one for key in ("enrol", "recommend", "set") for one in await firings(shop, key)]
        return any(one["status"] == "completed" for one in found)

    await eventually(some_done)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    start_worker()
    for key in ("enrol", "recommend", "set", "updated"):
        await settled(shop, eventually, key, "completed", 1)
    (bad,) = await settled(shop, eventually, "bad", "failed", 1)
    assert bad["error"]["code"] == "bad_value"
    assert await firings(shop, "circle") == []
    assert (await shop.get("journeys/j/enrollments"))["pagination"]["total"] == 1
    # Its own trigger's, and that of the change.
    assert (await shop.get("decision-traces", customerId="c1"))["pagination"]["total"] == 2
    assert (await shop.get("schemas/people/data"))["data"][0]["plan"] == "gold"


async def waiting_journey(shop: Shop) -> None:
    """Create a journey that waits for a response."""
    nodes = [
        {"id": "a", "type": "entry_trigger"},
        {"id": "w", "type": "wait", "config": {"waitForEvent": "outcome.recorded"}},
    ]
    definition = {"nodes": nodes, "edges": [{"source": "a", "target": "w"}]}
    await shop.create("journeys", name="J", key="j", status="active", definition=definition)


async def react_again(shop: Shop, eventually: Eventually) -> None:
    """Run every reaction again, as if its worker had been lost before it could say that it was done."""
    copies = await shop.rows(
        "INSERT INTO jobs (tenant_id, id, queue, type, payload)"
        " SELECT tenant_id, gen_random_uuid(), queue, type, payload FROM jobs"
        " WHERE tenant_id = %(tenant_id)s AND type = 'react_to_facts' RETURNING id"
    )
    for copy in copies:

        async def done(job_id: Any = copy["id"]) -> bool:
            return (await shop.get(f"jobs/{job_id}"))["status"] == "completed"

        await eventually(done)


async def test_responses_and_new_customers_fire_triggers_and_end_waits(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await shop.create("schemas", name="people", key="people", fields=PEOPLE)
    condition = {"field": "properties.classification", "operator": "eq", "value": "positive"}
    await trigger(shop, "answered", eventType="outcome.recorded", condition=condition)
    await trigger(shop, "came", eventType="customer.created")
    await waiting_journey(shop)
    start_worker()
    await shop.api.editor.post("/api/v1/journeys/j/enroll", json={"customerIds": ["c1", "c2"]})

    async def all_wait() -> bool:
        found = (await shop.get("journeys/j/enrollments"))["data"]
        return all(one["waitingFor"] for one in found)

    await eventually(all_wait)
    decision = await shop.recommend("c1", channel="email")
    body = {"recommendationId": decision["recommendationId"], "rank": 1}
    for key, outcome in (("k1", "accept"), ("k1", "accept"), ("k2", "dismiss")):
        assert (await shop.respond(key, outcome=outcome, **body)).status_code in {200, 201}
    await people(shop, "p1", "p2")
    await people(shop, "p2", "p3")

    await settled(shop, eventually, "answered", "completed", 1)
    came = await settled(shop, eventually, "came", "completed", 3)
    assert sorted(one["customerId"] for one in came) == ["p1", "p2", "p3"]

    await react_again(shop, eventually)
    assert (len(await firings(shop, "answered")), len(await firings(shop, "came"))) == (1, 3)

    async def one_over() -> bool:
        return (await shop.get("journeys/j/enrollments", status="completed"))["pagination"]["total"] == 1

    await eventually(one_over)
