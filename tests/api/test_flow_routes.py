"""Flow routes: which flow decides for a channel and placement."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.api.shop import Shop

MATCH = {"type": "match_creatives"}
ROUTES = "/api/v1/flow-routes"


async def decided_by(shop: Shop, **where: Any) -> str:
    return (await shop.recommend(**where))["meta"]["decisionFlowKey"]


async def test_the_most_specific_route_decides(shop: Shop) -> None:
    for key in ("placed", "by-channel", "anywhere", "newest"):
        await shop.flow(key, MATCH)
    await shop.create("placements", name="Hero", key="hero", channelId="web", slotType="banner")
    await shop.create("placements", name="Side", key="side", channelId="web", slotType="sidebar")
    web = await shop.get("channels/web")
    assert await decided_by(shop, channel="web") == "newest"

    await shop.create("flow-routes", decisionFlowId="anywhere", priority=100)
    await shop.create("flow-routes", decisionFlowId="by-channel", channelId="web")
    await shop.create("flow-routes", decisionFlowId="placed", channelId="web", placementId="hero")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await decided_by(shop, channel="web", placement="hero") != "placed":
            await asyncio.sleep(0.02)

    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"channelId": "web", "placement": "hero"}, "placed"),
        ({"channelId": web["id"], "placement": "banner"}, "placed"),
        ({"channel": "web", "placement": "side"}, "by-channel"),
        ({"channel": "web"}, "by-channel"),
        ({"channel": "email", "placement": "hero"}, "anywhere"),
        ({"placement": "hero"}, "anywhere"),
        ({}, "anywhere"),
        ({"channel": "web", "decisionFlowKey": "newest"}, "newest"),
    )
    for where, key in cases:
        assert await decided_by(shop, **where) == key, where


async def test_a_route_to_a_flow_that_is_not_live_is_passed_by(shop: Shop) -> None:
    await shop.flow("live", MATCH)
    await shop.flow("draft", MATCH, publish=False)
    await shop.create("flow-routes", decisionFlowId="draft", channelId="web")
    await shop.flow("newest", MATCH)

    assert await decided_by(shop, channel="web") == "newest"


async def test_a_place_has_one_route(shop: Shop) -> None:
    first, second = await shop.flow("first", MATCH), await shop.flow("second", MATCH)
    body = {"decisionFlowId": "first", "channelId": "web", "priority": 3}

    created = await shop.api.editor.post(ROUTES, json=body)
    again = await shop.api.editor.post(ROUTES, json={**body, "decisionFlowId": second["id"], "priority": 5})
    elsewhere = await shop.api.editor.post(ROUTES, json={"decisionFlowId": "first"})
    clash = await shop.api.editor.put(f"{ROUTES}/{elsewhere.json()['id']}", json={"channelId": "web"})

    assert (created.status_code, again.status_code, elsewhere.status_code) == (201, 200, 201), again.text
    assert created.json()["decisionFlow"] == {"id": first["id"], "name": "first", "key": "first"}
    assert again.json()["id"] == created.json()["id"]
    assert (again.json()["decisionFlowId"], again.json()["priority"]) == (second["id"], 5)
    assert again.json()["rowVersion"] == 2
    assert clash.status_code == 409
    listed = (await shop.get("flow-routes"))["data"]
    assert [(route["priority"], route["decisionFlow"]["key"]) for route in listed] == [(5, "second"), (0, "first")]
    assert await shop.get(f"flow-routes/{created.json()['id']}") == listed[0]


async def test_a_route_is_deleted_in_both_forms(shop: Shop) -> None:
    await shop.flow("mine", MATCH)
    for suffix in ("/{id}", "?id={id}"):
        route = await shop.create("flow-routes", decisionFlowId="mine")
        answer = await shop.api.editor.delete(ROUTES + suffix.format(id=route["id"]))
        assert answer.status_code == 204
        assert (await shop.get("flow-routes"))["data"] == []


async def test_a_wrong_route_is_refused(shop: Shop, other_shop: Shop) -> None:
    theirs = await other_shop.flow("theirs", MATCH)
    await shop.flow("mine", MATCH)
    post = shop.api.editor.post

    for name in ("theirs", theirs["id"], "nobody"):
        refused = await post(ROUTES, json={"decisionFlowId": name})
        assert (refused.status_code, refused.json()["error"]["details"][0]["path"]) == (404, "$.decisionFlowId")
    for body in ({}, {"decisionFlowId": "mine", "priority": -1}, {"decisionFlowId": "mine", "where": "web"}):
        assert (await post(ROUTES, json=body)).status_code == 400, body
    assert (await shop.get("flow-routes"))["pagination"]["total"] == 0
