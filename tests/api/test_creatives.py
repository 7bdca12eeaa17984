"""Creatives: their placement, limits and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Clients

Body = dict[str, Any]

PATH = "/api/v1/creatives"


@pytest.fixture
async def placed(api: Clients) -> Body:
    """An offer and two channels, each with a placement."""
    await api.editor.post("/api/v1/offers", json={"name": "Gold", "key": "gold"})
    for key in ("web", "app"):
        placement = {"name": f"Hero of {key}", "key": f"{key}_hero"}
        await api.editor.post("/api/v1/channels", json={"name": key, "key": key, "placements": [placement]})
    return {"name": "Banner", "offerId": "gold", "channelId": "web"}


async def test_a_placement_is_one_of_the_creatives_channel(api: Clients, placed: Body) -> None:
    fitting = await api.editor.post(PATH, json={**placed, "placementId": "web_hero"})
    refused = await api.editor.post(PATH, json={**placed, "placementId": "app_hero"})
    moved = await api.editor.put(f"{PATH}/{fitting.json()['id']}", json={"channelId": "app"})
    freed = await api.editor.put(f"{PATH}/{fitting.json()['id']}", json={"channelId": "app", "placementId": None})

    assert fitting.status_code == 201
    for answer in (refused, moved):
        assert answer.status_code == 400
        assert answer.json()["error"]["details"][0]["path"] == "$.placementId"
    assert (freed.status_code, freed.json()["placementId"]) == (200, None)


async def test_a_bad_field_is_named(api: Clients, placed: Body) -> None:
    cases: list[tuple[Body, str]] = [
        ({"templateType": "fax"}, "$.templateType"),
        ({"weight": 101}, "$.weight"),
        ({"content": []}, "$.content"),
        ({"personalization": [{}] * 501}, "$.personalization"),
        ({"offerId": None}, "$.offerId"),
    ]
    for body, path in cases:
        refused = await api.editor.post(PATH, json={**placed, **body})

        assert refused.status_code == 400, body
        assert [problem["path"] for problem in refused.json()["error"]["details"]] == [path]


async def test_creatives_are_listed_by_offer_and_channel(api: Clients, placed: Body) -> None:
    created = (await api.editor.post(PATH, json=placed)).json()

    for params, found in (({"offerId": "gold"}, 1), ({"channelId": "app"}, 0), ({"offerId": created["offerId"]}, 1)):
        assert (await api.viewer.get(PATH, params=params)).json()["pagination"]["total"] == found
