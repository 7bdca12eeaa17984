"""The audit log over HTTP: every change with its author, in a chain that shows what was done to it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.shop import created, flow_config

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients
    from tests.api.shop import Shop

LOGS = "/api/v1/audit-logs"
EXPORT = "/api/v1/audit-export"


async def logs(client: httpx.AsyncClient, **parameters: Any) -> list[dict[str, Any]]:
    answer = await client.get(LOGS, params={"limit": 100, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def verified(client: httpx.AsyncClient, **parameters: Any) -> dict[str, Any]:
    answer = await client.get(f"{LOGS}/verify", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_create_change_and_delete_tell_who_did_what_and_how_it_was(api: Clients) -> None:
    headers = {"X-Request-Id": "req-1"}
    body = {"name": "Gold", "key": "gold", "priority": 40}
    offer = (await api.editor.post("/api/v1/offers", json=body, headers=headers)).json()
    await api.admin.put("/api/v1/offers/gold", json={"priority": 90})
    await api.admin.delete("/api/v1/offers/gold")

    gone, changed, new = await logs(api.admin, entityType="offer")
    assert [row["action"] for row in (new, changed, gone)] == ["create", "update", "soft_delete"]
    assert {row["entityId"] for row in (new, changed, gone)} == {offer["id"]}
    assert [row["entityVersion"] for row in (new, changed, gone)] == [1, 2, 3]
    assert (new["before"], gone["after"]) == (None, None)
    assert (new["after"]["priority"], changed["before"]["priority"], changed["after"]["priority"]) == (40, 40, 90)
    assert changed["changes"] == {"priority": {"from": 40, "to": 90}}
    assert gone["before"] == changed["after"]
    keys = {row["name"]: row["id"] for row in (await api.admin.get("/api/v1/api-keys")).json()["data"]}
    assert (new["userId"], new["userName"], new["userRole"]) == (keys["editor"], "editor", "editor")
    assert (changed["userId"], changed["userName"], changed["userRole"]) == (keys["admin"], "admin", "admin")
    assert new["requestId"] == "req-1"
    assert new["tenantId"] == str(api.tenant.tenant_id)
    assert gone["prevHash"] == changed["integrityHash"]


async def test_a_refused_change_leaves_no_row(api: Clients) -> None:
    await created(api.editor, "offers", name="Gold", key="gold")
    before = await logs(api.admin)
    assert (await api.editor.post("/api/v1/offers", json={"name": "Gold", "key": "gold"})).status_code == 409
    stale = await api.editor.put("/api/v1/offers/gold", json={"priority": 1, "rowVersion": 7})
    assert stale.status_code == 409
    assert await logs(api.admin) == before


async def test_a_tenant_begins_with_its_own_creation_by_the_system(api: Clients) -> None:
    rows = await logs(api.admin)
    first = rows[-1]
    assert (first["action"], first["entityType"], first["sequence"]) == ("create", "tenant", 1)
    assert first["prevHash"] == "0" * 64
    assert (first["userId"], first["requestId"]) == ("system", None)
    assert [row["entityName"] for row in rows if row["entityType"] == "apiKey"] == ["viewer", "editor", "admin"]
    assert {row["entityType"] for row in rows} == {"tenant", "apiKey", "outcomeType"}


async def test_keys_and_settings_are_told_without_any_secret(api: Clients) -> None:
    issued = (await api.admin.post("/api/v1/api-keys", json={"name": "shop", "role": "viewer"})).json()
    gone = await api.admin.request("DELETE", f"/api/v1/api-keys/{issued['id']}", json={"reason": "rotated"})
    assert gone.status_code == 204
    await api.admin.put("/api/v1/tenant-settings", json={"timezone": "Europe/Berlin"})

    settings, revoked, created_key = (await logs(api.admin))[:3]
    assert (created_key["action"], created_key["entityName"]) == ("create", "shop")
    assert created_key["after"] == {
        name: issued[name] for name in ("id", "name", "role", "prefix", "scopes", "expiresAt", "createdAt")
    }
    assert (revoked["action"], revoked["changes"]) == ("delete", {"revokedReason": {"from": None, "to": "rotated"}})
    assert (settings["action"], settings["entityType"]) == ("update", "tenantSettings")
    assert settings["changes"] == {"timezone": {"from": None, "to": "Europe/Berlin"}}
    everything = json.dumps(await logs(api.admin))
    assert issued["key"] not in everything


async def test_publishing_and_promoting_have_their_own_names(shop: Shop) -> None:
    await shop.flow("welcome", {"type": "rank", "config": {"method": "topN"}})
    published = await logs(shop.api.admin, action="publish")
    assert [(row["entityType"], row["entityName"]) for row in published] == [("decisionFlow", "welcome")]
    assert published[0]["changes"]["status"]["to"] == "active"

    for key in ("old", "new"):
        await shop.create("algorithm-models", key=key, name=key, modelType="scorecard", status="active", family="f")
    for key, status, metrics in (
        ("old", "challenger", None),
        ("old", "champion", {"auc": 0.9}),
        ("new", "challenger", None),
    ):
        body = {"toStatus": status, "metricsSnapshot": metrics}
        assert (await shop.api.editor.post(f"/api/v1/algorithm-models/{key}/promote", json=body)).status_code == 200
    worse = {"toStatus": "champion", "metricsSnapshot": {"auc": 0.5}}
    assert (await shop.api.editor.post("/api/v1/algorithm-models/new/promote", json=worse)).status_code == 409
    assert await logs(shop.api.admin, action="rollback_guard_bypass") == []
    forced = {**worse, "bypassRollbackGuard": True}
    assert (await shop.api.editor.post("/api/v1/algorithm-models/new/promote", json=forced)).status_code == 200

    bypass, promoted, demoted = (await logs(shop.api.admin))[:3]
    assert (bypass["action"], bypass["entityName"], bypass["userName"]) == ("rollback_guard_bypass", "new", "editor")
    assert len(bypass["changes"]["breaches"]) == 1
    steps = [(row["action"], row["entityName"], row["changes"]["registryStatus"]["to"]) for row in (demoted, promoted)]
    assert steps == [("promote", "old", "archived"), ("promote", "new", "champion")]


async def test_making_an_offer_mandatory_has_a_row_of_its_own(api: Clients) -> None:
    await created(api.admin, "offers", name="Recall", key="recall")
    keys = (await api.admin.get("/api/v1/api-keys")).json()["data"]
    key_id = next(key["id"] for key in keys if key["role"] == "admin")
    terms = {
        "mandatory": True,
        "mandatoryReason": "law",
        "mandatoryExpiresAt": "2099-01-01T00:00:00Z",
        "mandatoryApprovedBy": key_id,
    }
    assert (await api.admin.put("/api/v1/offers/recall", json=terms)).status_code == 200
    await api.admin.put("/api/v1/offers/recall", json={"priority": 3})
    (override,) = await logs(api.admin, action="mandatory_override")
    assert override["changes"] == {
        name: {"from": False if name == "mandatory" else None, "to": value} for name, value in terms.items()
    }


async def test_a_long_field_is_told_by_its_digest(api: Clients) -> None:
    long = {"text": "x" * 100_000}
    await created(api.editor, "offers", name="Gold", key="gold", metadata=long)
    (row,) = await logs(api.admin, entityType="offer")
    text = json.dumps(long, separators=(",", ":"))
    assert row["after"]["metadata"] == {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}
    assert (await verified(api.admin))["intact"]


async def test_many_things_in_one_call_are_many_rows(shop: Shop) -> None:
    offers = [{"name": f"offer {place}", "priority": place % 100} for place in range(300)]
    answer = await shop.api.editor.post("/api/v1/offers/bulk", json={"offers": offers})
    assert answer.status_code == 201
    rows = await logs(shop.api.admin, entityType="offer", action="create")
    assert [row["entityName"] for row in rows] == [f"offer {place}" for place in range(299, 199, -1)]
    assert (await verified(shop.api.admin))["intact"]


async def test_pages_and_cursors_lead_through_the_whole_log(shop: Shop) -> None:
    whole = await logs(shop.api.admin)
    by_page = [row for page in range(1, 20) for row in await logs(shop.api.admin, page=page, limit=7)]
    assert by_page == whole
    by_cursor: list[dict[str, Any]] = []
    cursor = {}
    while True:
        answer = (await shop.api.admin.get(LOGS, params={"limit": 7, **cursor})).json()
        assert answer["logs"] == answer["data"]
        assert (answer["total"], answer["pagination"]["total"]) == (len(whole), len(whole))
        by_cursor += answer["data"]
        if not answer["pagination"]["hasMore"]:
            break
        cursor = {"cursor": answer["pagination"]["nextCursor"]}
    assert by_cursor == whole


async def test_filters_choose_by_type_thing_and_action(shop: Shop) -> None:
    offer = (await shop.get("offers/gold"))["id"]
    assert {row["entityId"] for row in await logs(shop.api.admin, entityId=offer)} == {offer}
    assert len(await logs(shop.api.admin, entityType="outcomeType")) == 10
    assert await logs(shop.api.admin, entityType="outcome_type") == await logs(shop.api.admin, entityType="outcomeType")
    assert await logs(shop.api.admin, entityType="offer", action="update") == []


@pytest.mark.parametrize(
    "query", [{"page": 0}, {"limit": 101}, {"limit": "x"}, {"action": "borrow"}, {"cursor": "?"}, {"entityType": ""}]
)
async def test_a_wrong_query_is_refused_with_its_path(api: Clients, query: dict[str, Any]) -> None:
    answer = await api.admin.get(LOGS, params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["path"] == f"query.{next(iter(query))}"


async def test_only_admins_read_it_and_nobody_writes_it(api: Clients) -> None:
    for path in (LOGS, f"{LOGS}/verify", EXPORT):
        assert (await api.editor.get(path)).status_code == 403
        assert (await api.anonymous.get(path)).status_code == 401
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await api.admin.request(method, LOGS, json={})).status_code == 405
        assert (await api.admin.request(method, f"{LOGS}/verify", json={})).status_code == 405
    assert (await api.admin.delete(LOGS, params={"id": "x"})).status_code == 405


async def test_another_tenant_has_a_log_of_its_own(shop: Shop, other_shop: Shop) -> None:
    await shop.create("offers", name="Mine", key="mine")
    assert {row["tenantId"] for row in await logs(other_shop.api.admin)} == {str(other_shop.tenant_id)}
    assert (await verified(other_shop.api.admin))["intact"]


async def test_the_export_has_the_same_rows_in_three_layouts(shop: Shop) -> None:
    await shop.create("offers", name="=HYPERLINK(1)", key="formula")
    rows = await logs(shop.api.admin)
    exported = await shop.api.admin.get(EXPORT)
    assert exported.headers["content-disposition"].startswith('attachment; filename="audit-json-')
    assert (exported.json()["logs"], exported.json()["count"]) == (rows, len(rows))

    sheet = await shop.api.admin.get(EXPORT, params={"format": "csv"})
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(sheet.text)))
    assert [line["integrityHash"] for line in lines] == [row["integrityHash"] for row in rows]
    assert lines[0]["entityName"] == "'=HYPERLINK(1)"
    assert json.loads(lines[0]["after"]) == rows[0]["after"]

    report = (await shop.api.admin.get(EXPORT, params={"format": "soc2"})).json()
    assert report["integrity"]["intact"]
    assert report["summary"]["total"] == len(report["events"]) == len(rows)
    assert sum(report["summary"]["byCriterion"].values()) == len(rows)
    by_type = {event["entity"]["type"]: event["criterion"] for event in report["events"]}
    assert (by_type["apiKey"], by_type["offer"]) == ("CC6.1", "CC8.1")


async def test_the_export_is_cut_by_time_and_place(shop: Shop) -> None:
    rows = await logs(shop.api.admin)
    cut = (await shop.api.admin.get(EXPORT, params={"limit": 5, "offset": 3})).json()
    assert cut["logs"] == rows[3:8]
    offers = (await shop.api.admin.get(EXPORT, params={"entityType": "offer", "action": "create"})).json()
    assert {row["entityType"] for row in offers["logs"]} == {"offer"}
    middle = rows[len(rows) // 2]["timestamp"]
    later = (await shop.api.admin.get(EXPORT, params={"startDate": middle})).json()["logs"]
    earlier = (await shop.api.admin.get(EXPORT, params={"endDate": middle})).json()["logs"]
    assert later + earlier == rows
    day = rows[0]["timestamp"][:10]
    assert (await shop.api.admin.get(EXPORT, params={"endDate": day})).json()["logs"] == rows
    assert (await shop.api.admin.get(EXPORT, params={"startDate": "2099-01-01"})).json()["logs"] == []
    for name in ("startDate", "endDate"):
        answer = await shop.api.admin.get(EXPORT, params={name: "9999-99-99"})
        assert (answer.status_code, answer.json()["error"]["details"][0]["path"]) == (400, f"query.{name}")


async def test_the_base_flow_is_published_by_the_system(shop: Shop) -> None:
    await shop.recommend()
    published = await logs(shop.api.admin, action="publish")
    assert [(row["entityName"], row["userId"]) for row in published] == [("Base NBA Flow", "system")]


async def test_a_draft_is_told_in_full(shop: Shop) -> None:
    await shop.create("decision-flows", key="draft", name="draft", draftConfig=flow_config())
    (row,) = await logs(shop.api.admin, entityType="decisionFlow")
    assert row["after"]["draftConfig"] == flow_config()
