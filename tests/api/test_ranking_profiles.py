"""Ranking profiles over HTTP, and score nodes that use them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.shop import flow_config

if TYPE_CHECKING:
    from tests.api.shop import Shop

PATH = "/api/v1/ranking-profiles"
MATCH = {"type": "match_creatives"}
CARD: dict[str, Any] = {"baseScore": 50, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": []}


@pytest.mark.parametrize("path", [PATH, "/api/v1/arbitration-profiles"])
async def test_a_profile_is_written_read_and_listed_under_both_names(shop: Shop, path: str) -> None:
    editor = shop.api.editor
    created = await editor.post(path, json={"name": "Growth", "weights": {"propensity": 1, "clv": 0.5}})
    assert created.status_code == 201, created.text
    profile = created.json()

    changed = await editor.put(f"{path}/growth", json={"weights": {"fatigue": 0.2}, "description": "calm"})
    listed = await shop.api.viewer.get(path)
    one = await shop.api.viewer.get(f"{PATH}/{profile['id']}")

    assert (profile["key"], profile["weights"]) == ("growth", {"propensity": 1, "clv": 0.5})
    assert (changed.status_code, changed.json()["weights"]) == (200, {"fatigue": 0.2})
    assert listed.json() == [one.json()] == [changed.json()]
    assert (await editor.delete(path, params={"id": profile["id"]})).status_code == 204
    assert (await shop.api.viewer.get(path)).json() == []


async def test_a_wrong_profile_is_refused_with_its_path(shop: Shop) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"weights": {"propensity": 1, "luck": 1}}, "$.weights.luck"),
        ({"weights": {"propensity": 1.5}}, "$.weights.propensity"),
        ({"weights": {"propensity": -0.5}}, "$.weights.propensity"),
        ({"weights": {"propensity": "high"}}, "$.weights.propensity"),
        ({"weights": {"propensity": 0, "clv": 0}}, "$.weights"),
        ({"weights": {}}, "$.weights"),
        ({}, "$.weights"),
        ({"weights": {"clv": 1}, "name": "x" * 201}, "$.name"),
        ({"weights": {"clv": 1}, "key": "x" * 101}, "$.key"),
        ({"weights": {"clv": 1}, "description": "x" * 1001}, "$.description"),
        ({"weights": {"clv": 1}, "colour": "red"}, "$.colour"),
    ]
    for body, path in wrong:
        refused = await shop.api.editor.post(PATH, json={"name": "Wrong", **body})
        assert refused.status_code == 400, body
        assert path in [one["path"] for one in refused.json()["error"]["details"]], refused.text
    assert (await shop.api.viewer.post(PATH, json={"name": "x", "weights": {"clv": 1}})).status_code == 403
    first = {"name": "Growth", "key": "growth", "weights": {"clv": 1}}
    assert [(await shop.api.editor.post(PATH, json=first)).status_code for _ in range(2)] == [201, 409]


async def test_a_score_node_follows_its_profiles_and_channel_models(shop: Shop) -> None:
    await shop.create("ranking-profiles", name="Emphasis", key="emphasis", weights={"emphasis": 0.5})
    await shop.create("ranking-profiles", name="Likely", key="likely", weights={"conversion": 0.1})
    for key, base in (("half", 50), ("low", 20)):
        card = {**CARD, "baseScore": base}
        await shop.create("algorithm-models", key=key, name=key, modelType="scorecard", status="active", config=card)
        await shop.api.admin.post(f"/api/v1/algorithm-models/{key}/promote", json={"toStatus": "shadow"})
    config = {
        "method": "formula",
        "modelKey": "half",
        "strategyProfileId": "emphasis",
        "strategyOverrides": [{"scope": "channel", "value": "web", "profileId": "likely"}],
        "overrides": [{"channelId": "web", "modelKey": "low"}],
    }
    await shop.flow("profiled", MATCH, {"type": "score", "config": config})

    mail = await shop.recommend(channel="email", decisionFlowKey="profiled")
    web = await shop.recommend(channel="web", decisionFlowKey="profiled")

    assert [round(item["score"], 12) for item in mail["decisions"]] == [0.9, 0.6, 0.3]
    assert [round(item["score"], 12) for item in web["decisions"]] == [0.2, 0.2, 0.2]
    assert {item["propensity"] for item in mail["decisions"]} == {0.5}
    # A profile may change: decisions follow it within a second.
    await shop.api.editor.put(f"{PATH}/emphasis", json={"weights": {"propensity": 1}})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (after := await shop.recommend(channel="email"))["decisions"][0]["score"] != 0.5:
            await asyncio.sleep(0.02)
    assert [round(item["score"], 12) for item in after["decisions"]] == [0.5, 0.5, 0.5]


async def test_names_of_a_score_node_are_checked_when_it_is_published(shop: Shop) -> None:
    await shop.create("ranking-profiles", name="Value", key="value", weights={"clv": 1, "fatigue": 1})
    await shop.create("ranking-profiles", name="Likely", key="likely", weights={"propensity": 1})
    overrides = [
        {"scope": "category", "value": "no category", "profileId": "likely"},
        {"scope": "channel", "value": "no channel", "profileId": "likely"},
        {"scope": "channel", "value": "email", "profileId": "value"},
        {"scope": "productType", "value": "anything", "profileId": "no profile"},
    ]
    config = {
        "strategyProfileId": "value",
        "strategyOverrides": overrides,
        "overrides": [{"channelId": "no channel", "modelKey": "no model"}],
    }
    await shop.flow("unsound", {"type": "score", "config": config}, publish=False)

    refused = await shop.api.editor.post("/api/v1/decision-flows/unsound/publish", json={})

    assert refused.status_code == 400
    paths = [one["path"].removeprefix("$.draftConfig.nodes[1].config.") for one in refused.json()["error"]["details"]]
    assert set(paths) == {
        "strategyProfileId",
        "strategyOverrides[0].value",
        "strategyOverrides[1].value",
        "strategyOverrides[2].profileId",
        "strategyOverrides[3].profileId",
        "overrides[0].channelId",
        "overrides[0].modelKey",
    }
    for wrong in ({"scope": "colour", "value": "x", "profileId": "likely"}, {"scope": "category", "value": "x"}):
        draft = flow_config({"type": "score", "config": {"strategyOverrides": [wrong]}})
        body = {"name": "wrong", "draftConfig": draft}
        assert (await shop.api.editor.post("/api/v1/decision-flows", json=body)).status_code == 400
