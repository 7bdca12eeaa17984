"""Segments, routes, journeys, triggers and campaigns from documents, as the catalogue is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kaireon_api.settings import Settings
from tests.api.test_gitops import actions, apply, check, drift_rows

if TYPE_CHECKING:
    from tests.api.shop import Shop

_NODES: list[dict[str, Any]] = [
    {"id": "start", "type": "entry_trigger", "config": {"segmentId": "adults"}},
    {"id": "pick", "type": "nba_decision", "config": {"decisionFlowKey": "f"}},
    {"id": "end", "type": "exit", "config": {}},
]
_EDGES = [{"source": "start", "target": "pick"}, {"source": "pick", "target": "end"}]
_WEBHOOK: dict[str, Any] = {"url": "http://127.0.0.1:9/x", "secret": "secret://env/HOOK"}
# Deliberately not in the order in which they must be applied.
DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "run", "key": "fridays", "spec": {"name": "Fridays", "segmentId": "adults", "channelIds": ["web"]}},
    {
        "kind": "trigger",
        "key": "enrol",
        "spec": {
            "name": "Enrol",
            "eventType": "account.opened",
            "actionType": "enroll_journey",
            "actionConfig": {"journeyId": "welcome"},
            "cooldownMs": 1000,
        },
    },
    {
        "kind": "trigger",
        "key": "tell",
        "spec": {"name": "Tell", "eventType": "x", "actionType": "webhook", "actionConfig": _WEBHOOK},
    },
    {
        "kind": "journey",
        "key": "welcome",
        "spec": {"name": "Welcome", "status": "active", "definition": {"nodes": _NODES, "edges": _EDGES}},
    },
    {"kind": "flowRoute", "key": "web", "spec": {"decisionFlowId": "f", "channelId": "web"}},
    {
        "kind": "segment",
        "key": "adults",
        "spec": {
            "name": "Adults",
            "status": "active",
            "baseSchemaId": "people",
            "filters": [{"field": "age", "operator": "gte", "value": 18}],
        },
    },
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The same, with this machine among the hosts that may be called."""
    return settings.model_copy(update={"external_endpoint_allowlist": "127.0.0.1"})


async def test_engagement_is_applied_once_compared_and_put_back(shop: Shop) -> None:
    fields = [
        {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
        {"name": "age", "dataType": "integer"},
    ]
    await shop.create("schemas", name="people", key="people", fields=fields)
    await shop.flow("f", {"type": "match_creatives"})
    dry = await apply(shop.api, DOCUMENTS, dry_run=True)
    assert (dry["applied"], set(actions(dry).values())) == (False, {"create"})
    first = await apply(shop.api, DOCUMENTS)
    assert [step["kind"] for step in first["steps"]] == ["segment", "flowRoute", "journey", "trigger", "trigger", "run"]
    assert set(actions(await apply(shop.api, DOCUMENTS)).values()) == {"unchanged"}
    assert await check(shop.api) == 0

    # It works as what a call has made.
    answer = await shop.api.editor.post("/api/v1/events", json={"eventType": "account.opened", "customerId": "c1"})
    assert answer.status_code in {200, 201, 202}, answer.text
    assert (await shop.get("triggers/enrol/firings"))["pagination"]["total"] == 1

    await shop.api.editor.put("/api/v1/triggers/enrol", json={"cooldownMs": 5})
    await shop.api.editor.delete("/api/v1/runs/fridays")
    assert await check(shop.api) == 2
    changes = {row["entityType"]: row["changes"] for row in await drift_rows(shop.api)}
    assert changes == {
        "trigger": {"cooldownMs": {"from": 1000, "to": 5}},
        "run": {"key": {"from": "fridays", "to": None}},
    }
    again = actions(await apply(shop.api, DOCUMENTS))
    assert {key for key, action in again.items() if action != "unchanged"} == {"enrol", "fridays"}
    assert await check(shop.api) == 0
