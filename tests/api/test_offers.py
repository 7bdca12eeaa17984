"""Offers: keys, limits, mandatory ones, pages, and two changes at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.api.conftest import Clients

Body = dict[str, Any]

PATH = "/api/v1/offers"
NEXT_YEAR = (datetime.now(UTC) + timedelta(days=365)).isoformat()


async def create(client: httpx.AsyncClient, path: str, **body: Any) -> Body:
    created = await client.post(f"/api/v1/{path}", json=body)
    assert created.status_code == 201, created.text
    return created.json()


def paths(answer: httpx.Response) -> set[str]:
    return {problem["path"] for problem in answer.json()["error"]["details"]}


async def admin_key_id(api: Clients, role: str = "admin") -> str:
    return next(key["id"] for key in (await api.admin.get("/api/v1/api-keys")).json()["data"] if key["role"] == role)


async def test_keys_follow_from_names_and_stay_unique(api: Clients) -> None:
    names = ["Gold Card!", "Gold card", "Größe", "日本", "4f1c2a5e-8a55-4f0e-9f50-6f3c8e0f9a11"]

    keys = [(await create(api.editor, "offers", name=name))["key"] for name in names]

    assert keys == ["gold-card", "gold-card-2", "groe", "offer", f"offer-{names[4]}"]


async def test_every_documented_field_is_kept(api: Clients) -> None:
    body = {
        "name": "Gold",
        "priority": 90,
        "businessValue": 12.5,
        "margin": -3.5,
        "revenueValue": 120,
        "budget": {"dailyCapCents": 500, "lastDailyResetDate": "2026-03-01", "costPerOutcomeCents": 10},
        "inventory": {"totalStock": 10, "remainingStock": 4},
        "frequencyCaps": {"perCustomer": {"daily": 1, "monthly": 5}},
        "schedule": {"startDate": "2026-01-01", "endDate": "2026-06-01T12:00:00+02:00"},
        "customFields": {"region": "north", "limits": [1, {"deep": True}]},
        "tags": ["cards", "gold"],
        "emergencyExcluded": True,
    }

    created = await create(api.editor, "offers", **body)

    assert {name: created[name] for name in body} == body


async def test_stock_told_as_a_total_starts_full(api: Clients) -> None:
    offer = await create(api.editor, "offers", name="Gold", inventory={"totalStock": 7})

    assert offer["inventory"] == {"totalStock": 7, "remainingStock": 7}


BAD: list[tuple[Body, str]] = [
    ({"priority": 101}, "$.priority"),
    ({"priority": "high"}, "$.priority"),
    ({"businessValue": -1}, "$.businessValue"),
    ({"status": "live"}, "$.status"),
    ({"name": " "}, "$.name"),
    ({"name": "x" * 256}, "$.name"),
    ({"tags": "cards"}, "$.tags"),
    ({"inventory": {"totalStock": -1}}, "$.inventory.totalStock"),
    ({"inventory": {"stock": 1}}, "$.inventory.stock"),
    ({"budget": {"dailyCapCents": "lots"}}, "$.budget.dailyCapCents"),
    ({"budget": {"lifetimeCapCents": True}}, "$.budget.lifetimeCapCents"),
    ({"schedule": {"startDate": "soon"}}, "$.schedule.startDate"),
    ({"schedule": {"startDate": "2026-02-01", "endDate": "2026-02-01"}}, "$.schedule.endDate"),
    ({"frequencyCaps": {"perCustomer": {"hourly": 1}}}, "$.frequencyCaps.perCustomer.hourly"),
    ({"subCategoryId": "credit"}, "$.subCategoryId"),
]


async def test_a_bad_field_is_named(api: Clients) -> None:
    for body, path in BAD:
        refused = await api.editor.post(PATH, json={"name": "Gold", **body})

        assert refused.status_code == 400, body
        assert paths(refused) == {path}
    assert (await api.viewer.get(PATH)).json()["pagination"]["total"] == 0


async def test_a_sub_category_belongs_to_the_category(api: Clients) -> None:
    await create(api.editor, "categories", name="Cards", key="cards")
    await create(api.editor, "categories", name="Loans", key="loans")
    await create(api.editor, "sub-categories", name="Credit", key="credit", categoryId="cards")

    fitting = await create(api.editor, "offers", name="Gold", categoryId="cards", subCategoryId="credit")
    refused = await api.editor.post(PATH, json={"name": "Iron", "categoryId": "loans", "subCategoryId": "credit"})
    moved = await api.editor.put(f"{PATH}/{fitting['id']}", json={"categoryId": "loans"})

    for answer in (refused, moved):
        assert answer.status_code == 400
        assert paths(answer) == {"$.subCategoryId"}


async def test_only_an_admin_makes_an_offer_mandatory_and_says_why(api: Clients) -> None:
    terms = {
        "mandatory": True,
        "mandatoryReason": "The regulator asks for it",
        "mandatoryExpiresAt": NEXT_YEAR,
        "mandatoryApprovedBy": await admin_key_id(api),
    }
    editors = await api.editor.post(PATH, json={"name": "Notice", **terms})
    bare = await api.admin.post(PATH, json={"name": "Notice", "mandatory": True})
    past = await api.admin.post(PATH, json={"name": "Notice", **terms, "mandatoryExpiresAt": "2020-01-01"})
    approved_by_editor = await api.admin.post(
        PATH, json={"name": "Notice", **terms, "mandatoryApprovedBy": await admin_key_id(api, "editor")}
    )
    created = await create(api.admin, "offers", name="Notice", **terms)
    renamed = await api.editor.put(f"{PATH}/{created['id']}", json={"name": "Legal notice"})
    extended = await api.editor.put(f"{PATH}/{created['id']}", json={"mandatoryReason": "Because"})

    assert editors.status_code == 403
    assert (bare.status_code, paths(bare)) == (
        400,
        {"$.mandatoryReason", "$.mandatoryExpiresAt", "$.mandatoryApprovedBy"},
    )
    assert (past.status_code, paths(past)) == (400, {"$.mandatoryExpiresAt"})
    assert (approved_by_editor.status_code, paths(approved_by_editor)) == (400, {"$.mandatoryApprovedBy"})
    assert renamed.status_code == 200
    assert extended.status_code == 403


async def test_deleting_an_offer_deletes_its_creatives(api: Clients) -> None:
    offer = await create(api.editor, "offers", name="Gold", key="gold")
    await create(api.editor, "channels", name="Web", key="web")
    creative = await create(api.editor, "creatives", name="Banner", offerId="gold", channelId="web")

    await api.editor.delete(f"{PATH}/{offer['id']}")

    assert (await api.viewer.get(f"/api/v1/creatives/{creative['id']}")).status_code == 404


async def test_pages_follow_one_another_without_gaps(api: Clients) -> None:
    made = [(await create(api.editor, "offers", name=f"Offer {i}"))["id"] for i in range(5)]
    seen: list[str] = []
    totals: list[tuple[int, int]] = []
    cursor: str | None = None

    while True:
        page = (await api.viewer.get(PATH, params={"limit": "2"} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [offer["id"] for offer in page["data"]]
        totals.append((page["pagination"]["total"], page["pagination"]["limit"]))
        cursor = page["pagination"]["nextCursor"]
        assert page["pagination"]["hasMore"] is (cursor is not None)
        if cursor is None:
            break

    assert seen == made[::-1]
    assert totals == [(5, 2)] * 3


async def test_lists_filter_by_status_and_category(api: Clients) -> None:
    await create(api.editor, "categories", name="Cards", key="cards")
    gold = await create(api.editor, "offers", name="Gold", status="active", categoryId="cards")
    await create(api.editor, "offers", name="Iron", status="paused")

    async def ids(**params: str) -> list[str]:
        return [offer["id"] for offer in (await api.viewer.get(PATH, params=params)).json()["data"]]

    assert await ids(status="active") == [gold["id"]]
    assert await ids(categoryId="cards") == [gold["id"]]
    assert await ids(categoryId="nothing") == []
    assert (await api.viewer.get(PATH, params={"status": "live"})).status_code == 400


async def test_of_two_changes_to_the_same_version_one_wins(api: Clients) -> None:
    offer = await create(api.editor, "offers", name="Gold")

    answers = await asyncio.gather(
        *(api.editor.put(f"{PATH}/{offer['id']}", json={"priority": i, "rowVersion": 1}) for i in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert (await api.viewer.get(f"{PATH}/{offer['id']}")).json() == winner


async def test_changes_without_a_version_all_apply(api: Clients) -> None:
    offer = await create(api.editor, "offers", name="Gold")

    changes = ({"priority": 7}, {"businessValue": 8}, {"group": "a"}, {"tags": ["x"]})
    await asyncio.gather(*(api.editor.put(f"{PATH}/{offer['id']}", json=change) for change in changes))

    stored = (await api.viewer.get(f"{PATH}/{offer['id']}")).json()
    assert stored["rowVersion"] == 5
    assert [stored[name] for name in ("priority", "businessValue", "group", "tags")] == [7, 8, "a", ["x"]]
