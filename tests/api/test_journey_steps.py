"""Journeys as workers advance them: each step once, whatever becomes of the worker."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_runtime.settings import ScheduledJobSettings
from kaireon_storage.scheduled_jobs import JOBS
from tests.api.test_journeys import PATH, edges, graph, node

if TYPE_CHECKING:
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

Body = dict[str, Any]

# Seconds: where other work goes on beside, a worker takes long to start.
DECIDE = node("choose", "nba_decision", channel="email", limit=2)
SEND = node("send", "channel_action", channelId="mail", fromDecision="choose", content={"subject": "Hi"})
DECIDED_AND_SENT = graph(
    [node("a", "entry_trigger"), DECIDE, SEND, node("z", "exit", reason="sent")], "a>choose", "choose>send", "send>z"
)


async def journey(shop: Shop, definition: Body, **given: Any) -> Body:
    made = await shop.create("journeys", name="J", key="j", status="active", definition=definition, **given)
    await shop.api.app.services.engine.snapshots.look()
    return made


async def enroll(shop: Shop, *customers: str) -> None:
    answer = await shop.api.editor.post(f"{PATH}/j/enroll", json={"customerIds": list(customers)})
    assert answer.status_code == 201, answer.text


async def enrollments(shop: Shop) -> dict[str, Body]:
    listed = (await shop.get("journeys/j/enrollments", limit=200))["data"]
    return {one["customerId"]: await shop.get(f"journeys/j/enrollments/{one['id']}") for one in listed}


async def until(shop: Shop, eventually: Eventually, status: str, count: int) -> dict[str, Body]:
    async def holds() -> bool:
        page = await shop.get("journeys/j/enrollments", status=status, limit=1)
        return page["pagination"]["total"] == count

    await eventually(holds)
    return await enrollments(shop)


async def tick(shop: Shop) -> dict[str, int]:
    settings = ScheduledJobSettings.model_validate({"database_url": shop.api.app.services.settings.database_url})
    counts = (await JOBS["flow-scheduler-tick"](shop.database, settings)).counts
    return {name: counts[name] for name in ("dueEnrollments", "endedEnrollments")}


async def pass_time(shop: Shop) -> None:
    """Let every wait that has an end of its own be over."""
    await shop.run(
        "UPDATE journey_enrollments SET due_at = now(), queued_at = NULL WHERE tenant_id = %(tenant_id)s AND is_waiting"
    )


async def test_a_journey_decides_and_delivers_as_its_own(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    made = await journey(shop, DECIDED_AND_SENT)
    start_worker()

    await enroll(shop, "c1", "c2")

    found = await until(shop, eventually, "completed", 2)
    for customer, one in found.items():
        assert [step["nodeId"] for step in one["steps"]] == ["a", "choose", "send", "z"]
        assert [step["number"] for step in one["steps"]] == [1, 2, 3, 4]
        decided = one["context"]["decisions"]["choose"]
        assert (one["reason"], [offer["offerKey"] for offer in decided["offers"]]) == ("sent", ["gold", "silver"])
        trace = (await shop.get("decision-traces", customerId=customer))["data"]
        assert [each["requestId"] for each in trace] == [decided["recommendationId"]]
    events = [event for event in await shop.events() if type(event).__name__ == "ChannelActionRequested"]
    assert {(event.customer_id, str(event.journey_id), event.content["subject"]) for event in events} == {
        (customer, made["id"], "Hi") for customer in found
    }
    assert all(event.offer_id == found[event.customer_id]["context"]["decisions"]["choose"]["offers"][0]["offerId"]
               for event in events)  # fmt: skip


WAIT = graph(
    [node("a", "entry_trigger"), node("w", "wait", delayHours=48, waitForEvent="app.opened"), node("z", "exit")],
    "a>w",
    "w>z",
)


async def test_a_wait_survives_its_worker_and_ends_by_time_or_event(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await journey(shop, WAIT)
    first = start_worker()
    await enroll(shop, "c1", "c2", "c3")

    async def all_wait() -> bool:
        found = (await shop.get("journeys/j/enrollments"))["data"]
        return [one["waitingFor"] for one in found] == ["app.opened"] * 3

    await eventually(all_wait)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert await tick(shop) == {"dueEnrollments": 0, "endedEnrollments": 0}
    opened = {"eventType": "app.opened", "customerId": "c1", "eventId": "o1"}
    for given in (opened, opened, {**opened, "customerId": "c9", "eventId": "o9"}):
        assert (await shop.api.editor.post("/api/v1/events", json=given)).status_code == 202
    start_worker()
    found = await until(shop, eventually, "completed", 1)
    assert found["c1"]["steps"][2]["outcome"] == {"resumedBy": "event", "eventType": "app.opened"}

    await pass_time(shop)
    assert (await tick(shop))["dueEnrollments"] == 2
    found = await until(shop, eventually, "completed", 3)
    assert found["c2"]["steps"][2]["outcome"] == {"resumedBy": "time", "eventType": None}
    assert [step["nodeId"] for step in found["c2"]["steps"]] == ["a", "w", "w", "z"]


async def test_a_worker_killed_amid_steps_loses_and_doubles_none(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    again = node("again", "nba_decision", channel="email")
    nodes = [node("a", "entry_trigger"), DECIDE, SEND, again, node("z", "exit")]
    definition = {"nodes": nodes, "edges": edges("a>choose", "choose>send", "send>again", "again>z")}
    await journey(shop, definition)
    customers = [f"c{place}" for place in range(60)]
    worker = start_worker()
    await enroll(shop, *customers)

    for killed_after in (5, 70, 150):

        async def some_steps(count: int = killed_after) -> bool:
            rows = await shop.rows("SELECT count(*) AS n FROM journey_steps WHERE tenant_id = %(tenant_id)s")
            return rows[0]["n"] >= count

        await eventually(some_steps)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker = start_worker()

    found = await until(shop, eventually, "completed", 60)
    assert all([step["number"] for step in one["steps"]] == [1, 2, 3, 4, 5] for one in found.values())
    counts = await shop.rows(
        "SELECT customer_id, count(*) AS n FROM decision_traces WHERE tenant_id = %(tenant_id)s GROUP BY customer_id"
    )
    assert {row["customer_id"]: row["n"] for row in counts} == dict.fromkeys(customers, 2)
    events = [type(event).__name__ for event in await shop.events()]
    assert {name: events.count(name) for name in set(events)} == {"DecisionMade": 120, "ChannelActionRequested": 60}


@pytest.mark.parametrize("customers", [1, 20])
async def test_two_workers_and_tick_take_each_step_once(
    shop: Shop, start_worker: StartWorker, eventually: Eventually, customers: int
) -> None:
    await journey(shop, DECIDED_AND_SENT)
    await enroll(shop, *(f"c{place}" for place in range(customers)))
    await shop.run("UPDATE journey_enrollments SET queued_at = NULL WHERE tenant_id = %(tenant_id)s")
    assert (await tick(shop))["dueEnrollments"] == customers
    start_worker()
    start_worker()

    found = await until(shop, eventually, "completed", customers)

    assert all(len(one["steps"]) == 4 for one in found.values())
    decisions = await shop.rows("SELECT count(*) AS n FROM decision_traces WHERE tenant_id = %(tenant_id)s")
    assert decisions[0]["n"] == customers


async def test_time_ends_an_enrolment_and_a_journey_that_is_gone_ends_all(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    await journey(shop, WAIT, maxDurationDays=3)
    start_worker()
    await enroll(shop, "c1", "c2")
    await asyncio.sleep(0)
    await until(shop, eventually, "active", 2)
    await shop.run(
        "UPDATE journey_enrollments SET expires_at = now(), due_at = now(), queued_at = NULL"
        " WHERE tenant_id = %(tenant_id)s AND customer_id = 'c1'"
    )
    await tick(shop)
    found = await until(shop, eventually, "expired", 1)
    assert (found["c1"]["reason"], found["c1"]["endedAt"] is not None) == ("max_duration_reached", True)

    await shop.api.editor.put(f"{PATH}/j", json={"status": "paused"})
    await pass_time(shop)
    assert (await tick(shop))["dueEnrollments"] == 0
    await shop.api.editor.put(f"{PATH}/j", json={"status": "archived"})
    assert (await tick(shop))["endedEnrollments"] == 1
    assert (await enrollments(shop))["c2"]["reason"] == "journey_archived"
    assert (await tick(shop)) == {"dueEnrollments": 0, "endedEnrollments": 0}


async def test_a_step_that_cannot_be_taken_ends_its_enrolment_alone(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    flow = await shop.flow("f", {"type": "rank", "config": {"method": "topN"}})
    nodes = [node("a", "entry_trigger"), node("d", "nba_decision", decisionFlowKey=flow["key"])]
    await journey(shop, graph(nodes, "a>d"))
    await shop.api.editor.put("/api/v1/decision-flows/f", json={"status": "paused"})
    start_worker()

    await enroll(shop, "c1")

    found = await until(shop, eventually, "failed", 1)
    assert "no published and active decision flow" in found["c1"]["reason"]
    assert found["c1"]["steps"][-1]["nodeId"] == "d"


async def test_everyone_in_a_segment_is_enrolled_once(
    shop: Shop, start_worker: StartWorker, eventually: Eventually
) -> None:
    fields = [
        {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
        {"name": "vip", "dataType": "boolean"},
    ]
    await shop.create("schemas", name="people", key="people", fields=fields)
    rows = [{"customer_id": f"c{place}", "vip": place % 2 == 0} for place in range(10)]
    await shop.api.editor.post("/api/v1/schemas/people/data", json={"rows": rows})
    filters = [{"field": "vip", "operator": "eq", "value": True}]
    await shop.create("segments", name="vips", key="vips", baseSchemaId="people", status="active", filters=filters)
    nodes = [node("a", "entry_trigger", segmentId="vips", eventType="seen"), *WAIT["nodes"][1:]]
    await journey(shop, {"nodes": nodes, "edges": WAIT["edges"]})
    start_worker()

    asked = await shop.api.editor.post(f"{PATH}/j/enroll", json={"segmentId": "vips"})
    assert (asked.status_code, set(asked.json())) == (202, {"jobId", "statusUrl"})
    found = await until(shop, eventually, "active", 5)
    assert set(found) == {"c0", "c2", "c4", "c6", "c8"}

    for customer in ("c1", "c2"):
        await shop.api.editor.post("/api/v1/events", json={"eventType": "seen", "customerId": customer})
    found = await until(shop, eventually, "exited", 1)
    assert (found["c1"]["reason"], len(found)) == ("not_in_segment", 6)
