"""Several placements in one answer, over HTTP: requests, groups, coupling, caps, traces and replay."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.shop import flow_config

if TYPE_CHECKING:
    from tests.api.shop import Shop

MATCH = {"type": "match_creatives"}
RANK = {"type": "rank", "config": {"method": "topN"}}


@pytest.fixture
async def places(shop: Shop) -> dict[str, str]:
    """Placements of the web, of which the hero takes two offers; creatives there fit all of them but gold's."""
    found: dict[str, str] = {}
    for key, slots in (("hero", 2), ("footer", 1)):
        body = {"name": key, "key": key, "channelId": "web", "maxSlots": slots, "slotType": key + "-slot"}
        found[key] = (await shop.create("placements", **body))["id"]
    changed = await shop.api.editor.put("/api/v1/creatives/gold-web", json={"placementId": "hero"})
    assert changed.status_code == 200, changed.text
    await shop.flow("placing", MATCH, RANK)
    return found


def seen(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["offerKey"], item["placementId"]) for item in answer["decisions"]]


async def test_each_placement_is_filled_on_its_own_unless_deduplicated(shop: Shop, places: dict[str, str]) -> None:
    hero, footer = places["hero"], places["footer"]
    asked = ["hero", {"placementId": footer}]

    plain = await shop.recommend(placements=asked)
    unique = await shop.recommend(placements=asked, deduplicate=True)
    narrow = await shop.recommend(placements=[{"placement": "hero", "slots": 1}, {"placement": "footer", "limit": 3}])
    short = await shop.recommend(placements=asked, limit=1)
    typed = await shop.recommend(placements=["footer-slot", "nowhere"])

    assert seen(plain) == [("gold", hero), ("silver", hero), ("silver", footer)]
    assert [item["rank"] for item in plain["decisions"]] == [1, 2, 3]
    assert seen(unique) == [("gold", hero), ("silver", hero), ("bronze", footer)]
    assert seen(narrow) == [("gold", hero), ("silver", footer), ("bronze", footer)]
    assert seen(short) == [("gold", hero)]
    assert seen(typed) == [("silver", footer)]
    counted = await shop.rows(
        "SELECT sum(impressions)::int AS impressions FROM interaction_summaries"
        " WHERE tenant_id = %(tenant_id)s AND period_type = 'alltime'"
    )
    assert counted == [{"impressions": 3 + 3 + 3 + 1 + 1}]
    assert all("channelCoupling" not in answer for answer in (plain, unique, narrow, short, typed))


async def test_caps_hold_over_the_whole_answer_and_rows_say_where_it_went(shop: Shop, places: dict[str, str]) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 2})
    await shop.flow("capped", MATCH, {"type": "contact_policy"}, RANK)

    answer = await shop.recommend(decisionFlowKey="capped", placements=["hero", "footer"])
    after = await shop.recommend(decisionFlowKey="capped", placements=["hero", "footer"])

    assert seen(answer) == [("gold", places["hero"]), ("silver", places["hero"])]
    assert after["count"] == 0
    kept = "SELECT placement_id::text FROM interactions WHERE tenant_id = %(tenant_id)s AND kind = 'impression'"
    rows = await shop.rows(kept)
    assert [row["placement_id"] for row in rows] == [places["hero"]] * 2
    response = await shop.respond("k", recommendationId=answer["recommendationId"], rank=2)
    assert (response.status_code, response.json()["offerName"]) == (201, "silver")


@pytest.mark.parametrize(("method", "expected"), [("greedy", "silver"), ("optimal", "silver")])
async def test_a_group_shares_offers_out(shop: Shop, places: dict[str, str], method: str, expected: str) -> None:
    placements = [{"placementId": "footer"}, {"placementId": "hero", "slots": 1}]
    group = {"type": "group", "config": {"placements": placements, "method": method}}
    await shop.flow("grouped", MATCH, RANK, group)

    answer = await shop.recommend(decisionFlowKey="grouped")
    one = await shop.recommend(decisionFlowKey="grouped", placement="footer")
    again = await shop.api.editor.post(f"/api/v1/decision-traces/{answer['recommendationId']}/replay", json={})

    assert seen(answer) == [("gold", places["hero"]), (expected, places["footer"])]
    assert seen(one) == [("silver", places["footer"])]
    assert again.json()["identical"] is True, again.text


async def test_an_atomic_channel_is_filled_wholly_or_not(shop: Shop, places: dict[str, str]) -> None:
    asked: list[Any] = ["hero", "footer"]
    exclude = ["silver", "bronze"]
    partial = await shop.recommend(placements=asked, excludeOffers=exclude)
    await shop.api.editor.put("/api/v1/channels/web", json={"couplingMode": "atomic"})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (atomic := await shop.recommend(placements=asked, excludeOffers=exclude))["count"]:
            await asyncio.sleep(0.02)
    trace = await shop.get(f"decision-traces/{atomic['recommendationId']}")
    again = await shop.api.editor.post(f"/api/v1/decision-traces/{atomic['recommendationId']}/replay", json={})
    web = (await shop.get("channels/web"))["id"]

    assert seen(partial) == [("gold", places["hero"])]
    coupling = [
        {"channelId": web, "channelKey": "web", "placements": [places["hero"], places["footer"]], "cascaded": True}
    ]
    assert (atomic["channelCoupling"], trace["channelCoupling"]) == (coupling, coupling)
    assert "channel_coupling" in [one["type"] for one in trace["rankingResults"]]
    assert again.json()["identical"] is True, again.text
    await shop.api.editor.put("/api/v1/decision-flows/placing", json={"couplingOverride": "partial"})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while seen(await shop.recommend(placements=asked, excludeOffers=exclude)) != seen(partial):
            await asyncio.sleep(0.02)


async def test_wrong_placements_are_refused_with_their_path(shop: Shop) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"placements": "hero"}, "$.placements"),
        ({"placements": [7]}, "$.placements[0]"),
        ({"placements": [""]}, "$.placements[0]"),
        ({"placements": [{}]}, "$.placements[0].placement"),
        ({"placements": [{"placement": "a", "placementId": "b"}]}, "$.placements[0].placement"),
        ({"placements": [{"placement": "a", "slots": 0}]}, "$.placements[0].slots"),
        ({"placements": [{"placement": "a", "slots": 1, "limit": 1}]}, "$.placements[0].limit"),
        ({"placements": [{"placement": "a", "colour": "red"}]}, "$.placements[0].colour"),
        ({"placements": ["a", {"placement": "a"}]}, "$.placements[1]"),
        ({"placements": ["a"], "placement": "b"}, "$.placements"),
        ({"placements": [str(number) for number in range(21)]}, "$.placements"),
        ({"deduplicate": "yes"}, "$.deduplicate"),
    ]
    for body, path in wrong:
        refused = await shop.api.viewer.post("/api/v1/recommend", json={"customerId": "c", **body})
        assert refused.status_code == 400, body
        assert path in [one["path"] for one in refused.json()["error"]["details"]], refused.text


async def test_an_unsound_group_is_refused_with_its_path(shop: Shop) -> None:
    group = {"type": "group", "config": {"placements": [{"placementId": "nowhere"}]}}
    await shop.flow("unsound", MATCH, group, publish=False)
    refused = await shop.api.editor.post("/api/v1/decision-flows/unsound/publish", json={})
    assert refused.status_code == 400
    (problem,) = refused.json()["error"]["details"]
    assert problem["path"] == "$.draftConfig.nodes[2].config.placements[0].placementId"
    wrong: list[dict[str, Any]] = [
        {"method": "best"},
        {"placements": [{"placementId": "a", "slots": 0}]},
        {"placements": [{}]},
    ]
    for config in wrong:
        body = {"name": "wrong", "draftConfig": flow_config({"type": "group", "config": config})}
        assert (await shop.api.editor.post("/api/v1/decision-flows", json=body)).status_code == 400
