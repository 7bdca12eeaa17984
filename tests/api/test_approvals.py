"""Approvals: stages, four eyes, changes that are made by the last approval, publications that need one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kaireon_application.decisioning.ensure_base_flow import BASE_FLOW_KEY
from kaireon_storage.scheduled_jobs import run_job
from tests.api.shop import created, flow_config

if TYPE_CHECKING:
    from tests.api.conftest import Clients
    from tests.api.shop import Shop

PATH = "/api/v1/approvals"
RULE = {"name": "Adults", "ruleType": "attribute_condition", "config": {"attribute": "a", "operator": "eq", "value": 1}}


async def ask(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    return await created(client, "approvals", **{"entityName": "Gold", "entityType": "offer", **body})


async def decide(client: httpx.AsyncClient, approval: dict[str, Any], action: str = "approve", **body: Any) -> Any:
    return await client.post(f"{PATH}/{approval['id']}", json={"action": action, **body})


async def settings(api: Clients, **values: Any) -> None:
    assert (await api.admin.put("/api/v1/tenant-settings", json=values)).status_code == 200


async def listed(api: Clients, status: str | None = None) -> list[str]:
    answer = await api.viewer.get(PATH, params={} if status is None else {"status": status})
    return [one["id"] for one in answer.json()["data"]]


async def test_the_last_approval_makes_the_change_in_the_transaction_of_its_audit_entries(api: Clients) -> None:
    stages = [{"stageName": "Legal", "requiredRole": "editor"}, {"stageName": "Head", "requiredRole": "admin"}]
    asked = await ask(api.editor, action="create", payload={"name": "Gold", "key": "gold"}, stages=stages)
    assert (asked["status"], asked["entityId"], await listed(api)) == ("pending", None, [asked["id"]])

    first = (await decide(api.editor, asked, comments="fine")).json()
    assert [stage["status"] for stage in first["stages"]] == ["approved", "pending"]
    assert (first["stages"][0]["comments"], first["stages"][0]["decidedByName"]) == ("fine", "editor")
    assert (await api.viewer.get("/api/v1/offers/gold")).status_code == 404
    assert (await decide(api.editor, asked)).status_code == 403

    last = (await decide(api.admin, asked)).json()
    offer = (await api.viewer.get("/api/v1/offers/gold")).json()
    assert (last["status"], last["entityId"]) == ("approved", offer["id"])
    assert (await listed(api), await listed(api, "approved")) == ([], [asked["id"]])
    rows = (await api.admin.get("/api/v1/audit-logs")).json()["data"][:4]
    assert [(row["entityType"], row["action"]) for row in rows] == [
        ("approval", "approve"),
        ("offer", "create"),
        ("approval", "approve"),
        ("approval", "create"),
    ]
    assert rows[1]["userName"] == "admin"
    assert (await api.admin.get("/api/v1/audit-logs/verify")).json()["intact"]
    assert (await decide(api.admin, asked)).status_code == 409


async def test_changes_and_deletions_are_made_too(shop: Shop) -> None:
    change = await ask(shop.api.editor, action="update", entityId="gold", payload={"priority": 7})
    assert (await decide(shop.api.admin, change)).status_code == 200
    assert (await shop.get("offers/gold"))["priority"] == 7
    deletion = await ask(shop.api.editor, action="delete", entityId="gold")
    assert (await decide(shop.api.admin, deletion)).status_code == 200
    assert (await shop.api.viewer.get("/api/v1/offers/gold")).status_code == 404


async def test_a_rejection_ends_it(shop: Shop) -> None:
    stages = [{"stageName": name, "requiredRole": "editor"} for name in ("one", "two")]
    asked = await ask(shop.api.editor, action="delete", entityId="gold", stages=stages)
    rejected = (await decide(shop.api.editor, asked, "reject", comments="no")).json()
    assert [stage["status"] for stage in rejected["stages"]] == ["rejected", "pending"]
    assert rejected["status"] == "rejected"
    assert (await decide(shop.api.admin, asked)).status_code == 409
    assert await shop.get("offers/gold")


async def test_whoever_asks_may_not_approve_once_four_eyes_are_wanted(shop: Shop) -> None:
    await settings(shop.api, aiAnalyzerSettings={"governance": {"fourEyesEnabled": True}})
    asked = await ask(shop.api.admin, action="update", entityId="gold", payload={"priority": 7})
    refused = await decide(shop.api.admin, asked)
    assert (refused.status_code, "fourEyesEnabled" in refused.text) == (403, True)
    # Settings that nobody can read enforce it.
    await settings(shop.api, aiAnalyzerSettings={"governance": {"fourEyesEnabled": False}})
    await shop.run(
        "UPDATE tenants SET settings = jsonb_set(settings, '{retentionDays}', '\"x\"') WHERE tenant_id = %(tenant_id)s"
    )
    assert "settings_unavailable" in (await decide(shop.api.admin, asked)).text
    await shop.run("UPDATE tenants SET settings = settings - 'retentionDays' WHERE tenant_id = %(tenant_id)s")
    assert (await decide(shop.api.admin, asked)).status_code == 200


async def test_a_change_that_cannot_be_made_leaves_everything_as_it_was(api: Clients) -> None:
    unknown = await ask(api.editor, entityType="campaign", action="create")
    assert (await decide(api.admin, unknown)).status_code == 409
    first, second = [await ask(api.editor, action="create", payload={"name": "G", "key": "g"}) for _ in range(2)]
    assert (await decide(api.admin, first)).status_code == 200
    taken = await decide(api.admin, second)
    assert taken.status_code == 409
    dangling = await ask(api.editor, action="create", payload={"name": "G", "categoryId": "none"})
    assert (await decide(api.admin, dangling)).status_code == 422
    assert set(await listed(api)) == {unknown["id"], second["id"], dangling["id"]}


async def test_an_approval_lends_nobody_a_higher_role(api: Clients) -> None:
    stages = [{"stageName": "any", "requiredRole": "viewer"}]
    asked = await ask(api.editor, entityType="qualificationRule", action="create", payload=RULE, stages=stages)
    assert (await decide(api.viewer, asked)).status_code == 403
    assert (await decide(api.editor, asked)).status_code == 403
    assert (await decide(api.admin, asked)).status_code == 200


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"action": "create", "payload": {"name": 5}}, 400, "$.payload"),
    ({"action": "update", "payload": {}}, 400, "$.entityId"),
    ({"action": "update", "entityId": "nope", "payload": {}}, 404, "$.entityId"),
    ({"action": "publish", "entityId": "gold"}, 400, "$.action"),
    ({"action": "explode"}, 400, "$.action"),
    ({"action": "create", "stages": []}, 400, "$.stages"),
]


@pytest.mark.parametrize(("body", "status", "path"), REFUSED)
async def test_what_cannot_be_is_refused_at_once(api: Clients, body: dict[str, Any], status: int, path: str) -> None:
    answer = await api.editor.post(PATH, json={"entityType": "offer", "entityName": "x", **body})
    assert (answer.status_code, answer.json()["error"]["details"][0]["path"]) == (status, path)


async def test_another_tenant_s_request_is_not_there(shop: Shop, other_shop: Shop) -> None:
    asked = await ask(shop.api.editor, action="delete", entityId="gold")
    assert (await decide(other_shop.api.admin, asked)).status_code == 404
    assert await listed(other_shop.api) == []


async def test_pages_follow_each_other(api: Clients) -> None:
    asked = [await ask(api.editor, action="create", payload={"name": f"o{place}"}) for place in range(5)]
    seen, cursor = list[str](), None
    while True:
        params = {"limit": 2, **({} if cursor is None else {"cursor": cursor})}
        page = (await api.viewer.get(PATH, params=params)).json()
        seen += [one["id"] for one in page["data"]]
        assert page["pagination"]["total"] == 5
        cursor = page["pagination"]["nextCursor"]
        if cursor is None:
            break
    assert seen == [one["id"] for one in reversed(asked)]


async def publication(shop: Shop, flow: str = "f") -> dict[str, Any]:
    asked = await ask(shop.api.editor, entityType="decisionFlow", action="publish", entityId=flow)
    answer = await decide(shop.api.admin, asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def publish(shop: Shop, flow: str = "f") -> int:
    answer = await shop.api.editor.post(f"/api/v1/decision-flows/{flow}/publish", json={})
    assert answer.status_code == 200 or answer.json()["error"]["code"] == "approval_required", answer.text
    return answer.status_code


async def test_a_publication_needs_an_approval_and_uses_it_up(shop: Shop) -> None:
    await settings(shop.api, requirePublishApproval=True)
    await shop.flow("f", publish=False)
    assert await publish(shop) == 409
    approved = await publication(shop)
    assert await publish(shop) == 200
    assert await publish(shop) == 409
    used = (await shop.get("approvals", status="approved"))["data"][0]
    assert (used["id"], used["usedAt"] is not None) == (approved["id"], True)
    actions = [row["action"] for row in (await shop.api.admin.get("/api/v1/audit-logs")).json()["data"]]
    assert actions[:2] == ["publish", "use"]


async def test_one_approval_is_one_publication_of_many_at_once(shop: Shop) -> None:
    await settings(shop.api, requirePublishApproval=True)
    await shop.flow("f", publish=False)
    await publication(shop)
    codes = await asyncio.gather(*(publish(shop) for _ in range(5)))
    assert sorted(codes) == [200, 409, 409, 409, 409]


async def test_what_was_approved_is_what_may_be_published(shop: Shop) -> None:
    await settings(shop.api, requirePublishApproval=True)
    await shop.flow("f", publish=False)
    await publication(shop)
    draft = flow_config({"type": "qualify"})
    assert (await shop.api.editor.put("/api/v1/decision-flows/f", json={"draftConfig": draft})).status_code == 200
    assert await publish(shop) == 409


async def test_the_product_s_own_flow_needs_no_approval_until_somebody_touches_it(shop: Shop) -> None:
    await settings(shop.api, requirePublishApproval=True)
    assert (await shop.api.editor.post("/api/v1/decision-flows/ensure-base")).status_code == 201


async def test_a_draft_under_the_base_flow_s_key_is_no_way_around(shop: Shop) -> None:
    await settings(shop.api, requirePublishApproval=True)
    await shop.flow(BASE_FLOW_KEY, publish=False)
    answer = await shop.api.editor.post("/api/v1/decision-flows/ensure-base")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "approval_required")


async def test_time_closes_what_nobody_decides_or_publishes(shop: Shop) -> None:
    await settings(shop.api, requirePublishApproval=True)
    await shop.flow("f", publish=False)
    waiting = await ask(shop.api.editor, action="delete", entityId="gold")
    done = await ask(shop.api.editor, action="update", entityId="gold", payload={"priority": 1})
    assert (await decide(shop.api.admin, done)).status_code == 200
    approved = await publication(shop)
    services = shop.api.app.services
    assert (await run_job("approvals-expire", services.database, services.settings)).counts == {"expiredApprovals": 0}
    await shop.run("UPDATE approvals SET expires_at = now() - interval '1 second' WHERE tenant_id = %(tenant_id)s")
    assert (await decide(shop.api.admin, waiting)).status_code == 409
    assert await publish(shop) == 409
    assert (await run_job("approvals-expire", services.database, services.settings)).counts == {"expiredApprovals": 2}
    assert set(await listed(shop.api, "expired")) == {waiting["id"], approved["id"]}
    rows = (await shop.api.admin.get("/api/v1/audit-logs", params={"action": "expire"})).json()["data"]
    assert {(row["entityId"], row["userName"]) for row in rows} == {
        (waiting["id"], "system"),
        (approved["id"], "system"),
    }
    assert (await run_job("approvals-expire", services.database, services.settings)).counts == {"expiredApprovals": 0}
