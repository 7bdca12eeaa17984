"""Bulk creation: all or nothing, every problem named."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.api.conftest import Clients

PATH = "/api/v1/offers/bulk"


async def test_a_thousand_offers_are_created_in_one_call_and_no_more(api: Clients) -> None:
    offers = [{"name": f"Offer {i % 500}", "tags": [str(i)]} for i in range(1000)]

    created = await api.editor.post(PATH, json={"offers": offers})
    refused = await api.editor.post(PATH, json={"offers": [*offers, offers[0]]})

    assert created.status_code == 201
    body = created.json()
    assert body["created"] == 1000
    assert [offer["tags"] for offer in body["data"]] == [offer["tags"] for offer in offers]
    assert len({offer["key"] for offer in body["data"]}) == 1000
    assert refused.status_code == 400
    assert (await api.viewer.get("/api/v1/offers")).json()["pagination"]["total"] == 1000


async def test_every_problem_is_named_and_nothing_is_stored(api: Clients) -> None:
    wrong = [{"name": "A"}, {"name": "B", "priority": 101}, {"name": "C", "schedule": {"startDate": "x"}}]
    senseless = [
        {"name": "A", "key": "a"},
        {"name": "C", "schedule": {"endDate": "x"}},
        {"name": "D", "budget": {"maxPerDay": -1}},
    ]
    dangling = [{"name": "A", "categoryId": "nowhere"}, {"name": "B"}, {"name": "C", "categoryId": "neither"}]
    twice = [{"name": "A", "key": "same"}, {"name": "B", "key": "same"}]
    cases = (
        (wrong, 400, {"$.offers[1].priority"}),
        (senseless, 400, {"$.offers[1].schedule.endDate", "$.offers[2].budget.maxPerDay"}),
        (dangling, 404, {"$.offers[0].categoryId", "$.offers[2].categoryId"}),
        (twice, 409, {"$.offers[1].key"}),
    )

    for offers, status, paths in cases:
        refused = await api.editor.post(PATH, json={"offers": offers})
        assert refused.status_code == status
        assert {problem["path"] for problem in refused.json()["error"]["details"]} == paths

    assert (await api.viewer.get("/api/v1/offers")).json()["pagination"]["total"] == 0


async def test_creatives_come_in_bulk_too(api: Clients) -> None:
    await api.editor.post("/api/v1/offers", json={"name": "Gold", "key": "gold"})
    await api.editor.post("/api/v1/channels", json={"name": "Web", "key": "web"})
    creatives = [{"name": f"Banner {i}", "offerId": "gold", "channelId": "web"} for i in range(3)]

    created = await api.editor.post("/api/v1/creatives/bulk", json={"creatives": creatives})

    assert created.status_code == 201
    assert (created.json()["created"], len(created.json()["data"])) == (3, 3)


async def test_a_viewer_may_not_and_empty_lists_are_refused(api: Clients) -> None:
    assert (await api.viewer.post(PATH, json={"offers": []})).status_code == 403
    assert (await api.editor.post(PATH, json={"offers": []})).status_code == 400
