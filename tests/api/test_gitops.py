"""Configuration from documents: all or nothing, twice the same, and drift is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kaireon_storage.scheduled_jobs import run_job

if TYPE_CHECKING:
    from tests.api.conftest import Clients

PATH = "/api/v1/gitops/apply"
# Deliberately not in the order in which they must be applied.
DOCUMENTS: list[dict[str, Any]] = [
    {
        "kind": "contactPolicy",
        "key": "three-a-day",
        "spec": {
            "name": "Three a day",
            "ruleType": "frequency_cap",
            "scope": "offer",
            "scopeId": "gold",
            "config": {"maxPerDay": 3},
        },
    },
    {
        "kind": "qualificationRule",
        "key": "adults",
        "spec": {
            "name": "Adults",
            "ruleType": "attribute_condition",
            "config": {"attribute": "age", "operator": "gte", "value": 18},
        },
    },
    {"kind": "offer", "key": "gold", "spec": {"name": "Gold", "priority": 80, "categoryId": "cards"}},
    {"kind": "arbitrationProfile", "key": "margin", "spec": {"name": "Margin", "weights": {"margin": 1}}},
    {"kind": "category", "key": "cards", "spec": {"name": "Cards"}},
    {
        "kind": "channel",
        "key": "web",
        "spec": {"name": "Web", "channelType": "web", "placements": [{"name": "Hero", "key": "hero"}]},
    },
    {"kind": "creative", "key": "gold-web", "spec": {"name": "Gold web", "offerId": "gold", "channelId": "web"}},
]
PATHS = {"offer": "offers", "contactPolicy": "contact-policies", "category": "categories"}


async def apply(api: Clients, documents: list[dict[str, Any]], *, dry_run: bool = False) -> dict[str, Any]:
    answer = await api.admin.post(PATH, json={"documents": documents, "dryRun": dry_run})
    assert answer.status_code == 200, answer.text
    return answer.json()


def actions(plan: dict[str, Any]) -> dict[str, str]:
    return {step["key"]: step["action"] for step in plan["steps"]}


async def check(api: Clients) -> int:
    services = api.app.services
    outcome = await run_job("gitops-drift-check", services.database, services.settings)
    assert outcome.failures == ()
    return outcome.counts["drifted"]


async def drift_rows(api: Clients) -> list[dict[str, Any]]:
    answer = await api.admin.get("/api/v1/audit-logs", params={"action": "gitops_drift_detected"})
    return answer.json()["data"]


async def test_documents_are_applied_in_the_order_that_they_need_and_only_once(api: Clients) -> None:
    dry = await apply(api, DOCUMENTS, dry_run=True)
    assert (dry["applied"], set(actions(dry).values())) == (False, {"create"})
    assert (await api.viewer.get("/api/v1/offers/gold")).status_code == 404
    first = await apply(api, DOCUMENTS)
    assert (first["applied"], actions(first)) == (True, actions(dry))
    policy = (await api.viewer.get("/api/v1/contact-policies/three-a-day")).json()
    offer = (await api.viewer.get("/api/v1/offers/gold")).json()
    assert (policy["scopeId"], offer["rowVersion"]) == (offer["id"], 1)
    second = await apply(api, DOCUMENTS)
    assert set(actions(second).values()) == {"unchanged"}
    assert (await api.viewer.get("/api/v1/offers/gold")).json() == offer
    assert (await api.admin.get("/api/v1/audit-logs/verify")).json()["intact"]


async def test_a_changed_document_changes_its_fields_and_no_others(api: Clients) -> None:
    await apply(api, DOCUMENTS)
    await api.editor.put("/api/v1/offers/gold", json={"businessValue": 77})
    plan = await apply(api, [{"kind": "offer", "key": "gold", "spec": {"name": "Gold", "priority": 10}}])
    assert plan["steps"] == [
        {"kind": "offer", "key": "gold", "action": "update", "changes": {"priority": {"from": 80, "to": 10}}}
    ]
    offer = (await api.viewer.get("/api/v1/offers/gold")).json()
    assert (offer["priority"], offer["businessValue"]) == (10, 77)


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"kind": "decisionFlow", "key": "f", "spec": {"name": "f"}}, 400),
    ({"kind": "offer", "key": "o", "spec": {"name": 5}}, 400),
    ({"kind": "offer", "key": "o", "spec": {"name": "o", "nope": 1}}, 400),
    ({"kind": "offer", "key": "o", "spec": {"name": "o", "key": "p"}}, 400),
    ({"kind": "offer", "key": "o", "spec": {"name": "o", "categoryId": "none"}}, 404),
    ({"kind": "category", "key": "d", "spec": {"name": "Cards"}}, 409),
    ({"kind": "category", "key": "cards", "spec": {"name": "Cards again"}}, 400),
]


@pytest.mark.parametrize(("document", "status"), REFUSED)
async def test_one_document_that_cannot_be_keeps_all_from_being_applied(
    api: Clients, document: dict[str, Any], status: int
) -> None:
    answer = await api.admin.post(PATH, json={"documents": [*DOCUMENTS, document]})
    assert answer.status_code == status, answer.text
    for kind, path in PATHS.items():
        key = next(one["key"] for one in DOCUMENTS if one["kind"] == kind)
        assert (await api.viewer.get(f"/api/v1/{path}/{key}")).status_code == 404
    assert await check(api) == 0


async def test_only_an_admin_applies(api: Clients) -> None:
    assert (await api.editor.post(PATH, json={"documents": DOCUMENTS})).status_code == 403


async def test_what_is_not_as_it_was_applied_is_noted(api: Clients) -> None:
    await apply(api, DOCUMENTS)
    assert (await check(api), await drift_rows(api)) == (0, [])
    await api.editor.put("/api/v1/offers/gold", json={"priority": 5})
    await api.admin.delete("/api/v1/contact-policies/three-a-day")
    before = (await api.viewer.get("/api/v1/offers/gold")).json()
    assert await check(api) == 2
    rows = {row["entityType"]: row for row in await drift_rows(api)}
    assert rows["offer"]["changes"] == {"priority": {"from": 80, "to": 5}}
    assert (rows["offer"]["entityId"], rows["offer"]["userName"]) == (before["id"], "system")
    assert rows["contactPolicy"]["changes"] == {"key": {"from": "three-a-day", "to": None}}
    # To look is not to touch.
    assert (await api.viewer.get("/api/v1/offers/gold")).json() == before
    await apply(api, DOCUMENTS)
    assert await check(api) == 0


async def test_only_the_last_set_of_documents_counts(api: Clients) -> None:
    await apply(api, DOCUMENTS)
    await apply(api, [one for one in DOCUMENTS if one["kind"] == "category"])
    await api.editor.put("/api/v1/offers/gold", json={"priority": 5})
    assert await check(api) == 0
    await apply(api, DOCUMENTS, dry_run=True)
    assert await check(api) == 0
