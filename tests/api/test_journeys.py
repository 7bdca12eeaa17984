"""Journeys over HTTP: graphs are checked strictly, tried without a trace, and entered once at a time."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.shop import TABLES

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients
    from tests.api.shop import Shop

Body = dict[str, Any]

PATH = "/api/v1/journeys"


def node(id_: str, type_: str, **config: Any) -> Body:
    return {"id": id_, "type": type_, "config": config}


def edges(*pairs: str) -> list[Body]:
    """Return edges from `a>b`, or `a>b:true` for a side of a split."""
    found: list[Body] = []
    for pair in pairs:
        way, _, label = pair.partition(":")
        source, _, target = way.partition(">")
        found.append({"source": source, "target": target, **({"label": label} if label else {})})
    return found


NODES = [
    node("start", "entry_trigger", eventType="account.opened"),
    node("pause", "wait", delayHours=24, waitForEvent="app.opened"),
    node("choose", "nba_decision", channel="email", limit=2),
    node("split", "condition_split", condition={"field": "decisions.choose.count", "operator": "gt", "value": 0}),
    node("send", "channel_action", channelId="mail", fromDecision="choose"),
    node("end", "exit", reason="done"),
]
EDGES = edges("start>pause", "pause>choose", "choose>split", "split>send:true", "split>end:false", "send>end")
JOURNEY: Body = {"name": "Welcome", "key": "welcome", "definition": {"nodes": NODES, "edges": EDGES}}


def paths(answer: httpx.Response) -> list[str]:
    return [problem["path"] for problem in answer.json()["error"]["details"]]


async def journey(shop: Shop, **given: Any) -> Body:
    made = await shop.create("journeys", **{**JOURNEY, "status": "active", **given})
    # Every process looks for what was configured four times a second: this one does so now.
    await shop.api.app.services.engine.snapshots.look()
    return made


async def test_a_journey_is_kept_with_its_graph(shop: Shop) -> None:
    made = await shop.create("journeys", **JOURNEY, description="x", maxDurationDays=7)

    assert (made["status"], made["maxDurationDays"], made["entryCondition"]["event"]) == ("draft", 7, None)
    channel = (await shop.get("channels/mail"))["id"]
    stored = {one["id"]: one["config"] for one in made["definition"]["nodes"]}
    assert stored["send"]["channelId"] == channel
    assert stored["pause"] == {"delayHours": 24, "waitForEvent": "app.opened"}
    assert await shop.get("journeys/welcome") == made
    changed = await shop.api.editor.put(f"{PATH}/welcome", json={"status": "paused", "rowVersion": 1})
    assert (changed.status_code, changed.json()["status"]) == (200, "paused")
    assert (await shop.api.viewer.post(PATH, json=JOURNEY)).status_code == 403
    assert (await shop.api.editor.delete(f"{PATH}/welcome")).status_code == 204
    assert (await shop.create("journeys", name="Empty"))["definition"] == {"nodes": [], "edges": []}


def graph(nodes: list[Body], *pairs: str) -> Body:
    return {"nodes": nodes, "edges": edges(*pairs)}


START, END = node("a", "entry_trigger"), node("z", "exit")
SPLIT = node("s", "condition_split", condition={"field": "x", "operator": "exists"})
BAD: list[tuple[Body, int, list[str]]] = [
    (graph([END]), 400, ["$.definition.nodes"]),
    (graph([START, node("b", "entry_trigger")], "a>b"), 400,
     ["$.definition.nodes[1]", "$.definition.edges[0].target"]),
    (graph([START, END], "a>y"), 400, ["$.definition.edges[0].target"]),
    (graph([START, END], "z>a", "q>z"), 400,
     ["$.definition.edges[0].source", "$.definition.edges[0].target", "$.definition.edges[1].source"]),
    (graph([START, START] ), 400, ["$.definition.nodes[1].id", "$.definition.nodes[1]"]),
    (graph([START, END]), 400, ["$.definition.nodes[1]"]),
    (graph([START, END, node("c", "exit")], "a>z", "a>c"), 400, ["$.definition.nodes[0]"]),
    (graph([START, node("d", "nba_decision"), node("e", "nba_decision")], "a>d", "d>e", "e>d"), 400,
     ["$.definition.nodes[1]"]),
    (graph([START, SPLIT, END], "a>s", "s>z:true"), 400, ["$.definition.nodes[1]"]),
    (graph([START, SPLIT, END], "a>s", "s>z"), 400,
     ["$.definition.edges[1].label", "$.definition.nodes[1]", "$.definition.nodes[1]"]),
    (graph([START, node("w", "wait")], "a>w"), 400, ["$.definition.nodes[1].config"]),
    (graph([START, node("w", "wait", delayHours=0)], "a>w"), 400, ["$.definition.nodes[1].config.delayHours"]),
    (graph([START, node("w", "dance")], "a>w"), 400, ["$.definition.nodes[1].type"]),
    (graph([START, node("x y", "exit")], "a>w"), 400, ["$.definition.nodes[1].id"]),
    (graph([START, node("d", "nba_decision", decisionFlowKey="nope")], "a>d"), 404,
     ["$.definition.nodes[1].config.decisionFlowKey"]),
    (graph([node("a", "entry_trigger", segmentId="nope")]), 404, ["$.definition.nodes[0].config.segmentId"]),
    (graph([START, node("c", "channel_action", channelId="mail", fromDecision="d")], "a>c"), 400,
     ["$.definition.nodes[1].config.fromDecision"]),
    (graph([node("a", "entry_trigger", condition={"all": [{"field": "x", "operator": "over"}]})]), 400,
     ["$.definition.nodes[0].config.condition.all[0].operator"]),
    (graph([START, node("s", "condition_split", formula="1 +"), END], "a>s", "s>z:true", "s>z:false"), 400,
     ["$.definition.nodes[1].config.formula"]),
    (graph([START, node("s", "condition_split"), END], "a>s", "s>z:true", "s>z:false"), 400,
     ["$.definition.nodes[1].config"]),
]  # fmt: skip


async def test_a_graph_that_cannot_be_walked_is_refused(shop: Shop) -> None:
    for definition, status, where in BAD:
        refused = await shop.api.editor.post(PATH, json={"name": "J", "definition": definition})

        assert (refused.status_code, paths(refused)) == (status, where), definition
    empty = await shop.api.editor.post(PATH, json={"name": "J", "status": "active"})
    assert (empty.status_code, paths(empty)) == (400, ["$.definition"])
    circle = graph([START, node("w", "wait", delayHours=1), node("d", "nba_decision")], "a>w", "w>d", "d>w")
    assert (await shop.api.editor.post(PATH, json={"name": "J", "definition": circle})).status_code == 201


async def test_a_customer_is_in_a_journey_once_at_a_time(shop: Shop) -> None:
    made = await journey(shop)
    enroll = f"{PATH}/welcome/enroll"

    first = await shop.api.editor.post(enroll, json={"customerIds": ["c1", "c2", "c1"]})
    again = await shop.api.editor.post(enroll, json={"customerIds": ["c2", "c3"]})

    assert first.status_code == 201
    assert {name: first.json()[name] for name in ("journeyId", "journeyName", "enrolled", "skipped")} == {
        "journeyId": made["id"],
        "journeyName": "Welcome",
        "enrolled": 2,
        "skipped": 0,
    }
    assert (again.json()["enrolled"], again.json()["skipped"]) == (1, 1)
    listed = await shop.get("journeys/welcome/enrollments", limit=2)
    rest = await shop.get("journeys/welcome/enrollments", limit=2, cursor=listed["pagination"]["nextCursor"])
    both = [*listed["data"], *rest["data"]]
    assert (both[0]["customerId"], {one["customerId"] for one in both}) == ("c3", {"c1", "c2", "c3"})
    assert {(one["status"], one["nodeId"]) for one in both} == {("active", "start")}
    assert (await shop.get("journeys/welcome/enrollments", customerId="c1", status="failed"))["data"] == []
    one = await shop.get(f"journeys/welcome/enrollments/{rest['data'][0]['id']}")
    assert (one["steps"], one["expiresAt"] > one["enteredAt"]) == ([], True)


REFUSED: list[tuple[Body, int]] = [
    ({}, 400),
    ({"customerIds": []}, 400),
    ({"customerId": "c1", "customerIds": ["c2"]}, 400),
    ({"customerIds": [f"c{place}" for place in range(1001)]}, 400),
    ({"segmentId": "nobody"}, 404),
]


async def test_who_may_enter_is_checked(shop: Shop) -> None:
    await journey(shop)
    for given, status in REFUSED:
        assert (await shop.api.editor.post(f"{PATH}/welcome/enroll", json=given)).status_code == status, given
    assert (await shop.api.editor.post(f"{PATH}/nope/enroll", json={"customerId": "c1"})).status_code == 404
    assert (await shop.api.viewer.post(f"{PATH}/welcome/enroll", json={"customerId": "c1"})).status_code == 403
    await shop.api.editor.put(f"{PATH}/welcome", json={"status": "paused"})
    assert (await shop.api.editor.post(f"{PATH}/welcome/enroll", json={"customerId": "c1"})).status_code == 409
    assert (await shop.get("journeys/welcome/enrollments"))["data"] == []


async def test_a_journey_is_tried_without_a_trace(shop: Shop) -> None:
    await journey(shop)
    await shop.recommend("c9")
    before = await shop.counts()

    tried = await shop.api.viewer.post(f"{PATH}/welcome/test", json={"customerId": "c1"})

    assert tried.status_code == 200, tried.text
    trial = tried.json()
    steps = ["start", "pause", "pause", "choose", "split", "send", "end"]
    assert [one["nodeId"] for one in trial["trace"]] == steps
    assert (trial["status"], trial["reason"], trial["waitedHours"]) == ("completed", "done", 24)
    assert trial["trace"][3]["outcome"]["offers"][0]["offerKey"] == "gold"
    assert trial["trace"][5]["outcome"]["delivered"] is True
    assert await shop.counts() == before
    assert set(before) == set(TABLES)
    assert (await shop.get("journeys/welcome/enrollments"))["data"] == []


SPLITS: list[tuple[Body, Body, str]] = [
    ({"condition": {"field": "age", "operator": "gte", "value": 18}}, {}, "true"),
    ({"condition": {"field": "customer.age", "operator": "gte", "value": 18}}, {"age": 17}, "false"),
    ({"condition": {"field": "people.age", "operator": "eq", "value": 40}}, {}, "true"),
    ({"condition": {"any": [{"field": "plan", "operator": "eq", "value": "x"}, {"all": []}]}}, {}, "true"),
    ({"condition": {"combinator": "OR", "conditions": [{"field": "plan", "operator": "eq", "value": "gold"},
                                                           {"field": "age", "operator": "lt", "value": 1}]}},
         {"plan": "gold"}, "true"),
    ({"condition": {"field": "plan", "operator": "greater_than", "value": 3}}, {"plan": 3}, "false"),
    ({"formula": "plan == 'gold' ? age * 2 > 79 : plan == 'x'"}, {"plan": "gold"}, "true"),
    ({"formula": "missing > 1"}, {}, "false"),
]  # fmt: skip


@pytest.mark.parametrize(("split", "attributes", "side"), SPLITS)
async def test_a_split_compares_as_flows_do(shop: Shop, split: Body, attributes: Body, side: str) -> None:
    fields = [
        {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
        {"name": "age", "dataType": "integer"},
    ]
    await shop.create("schemas", name="people", key="people", fields=fields)
    await shop.api.editor.post("/api/v1/schemas/people/data", json={"rows": [{"customer_id": "c1", "age": 40}]})
    nodes = [START, node("s", "condition_split", **split), node("yes", "exit"), node("no", "exit")]
    definition = graph(nodes, "a>s", "s>yes:true", "s>no:false")
    await journey(shop, definition=definition)

    body = {"customerId": "c1", "customerAttributes": attributes}
    tried = await shop.api.viewer.post(f"{PATH}/welcome/test", json=body)

    assert tried.status_code == 200, tried.text
    assert tried.json()["trace"][-1]["nodeId"] == {"true": "yes", "false": "no"}[side]


async def test_events_let_in_whom_the_condition_lets(shop: Shop, api: Clients) -> None:
    definition = deepcopy(JOURNEY["definition"])
    definition["nodes"][0]["config"]["condition"] = {"field": "properties.plan", "operator": "eq", "value": "gold"}
    await journey(shop, definition=definition, entryCondition={"event": "shop.visited"})
    told = [
        {"eventType": "account.opened", "customerId": "c1", "properties": {"plan": "gold"}, "eventId": "e1"},
        {"eventType": "account.opened", "customerId": "c2", "properties": {"plan": "tin"}},
        {"eventType": "account.closed", "customerId": "c3", "properties": {"plan": "gold"}},
        {"eventType": "shop.visited", "customerId": "c4"},
    ]
    for _ in range(2):
        assert (await api.editor.post("/api/v1/events", json=told)).status_code == 202

    listed = await shop.get("journeys/welcome/enrollments")
    assert {one["customerId"] for one in listed["data"]} == {"c1", "c4"}
    assert {one["context"]["event"]["eventType"] for one in listed["data"]} == {"account.opened", "shop.visited"}
    await shop.api.editor.put(f"{PATH}/welcome", json={"status": "paused"})
    await shop.api.app.services.engine.snapshots.look()
    await api.editor.post("/api/v1/events", json={**told[0], "customerId": "c5", "eventId": "e5"})
    assert (await shop.get("journeys/welcome/enrollments", customerId="c5"))["data"] == []
