"""Channels with their placements."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.api.conftest import Clients

PATH = "/api/v1/channels"


async def test_placements_are_created_shown_and_deleted_with_their_channel(api: Clients) -> None:
    placements = [{"name": "Hero", "key": "hero"}, {"name": "Side bar", "slotType": "card", "maxSlots": 2}]

    created = (await api.editor.post(PATH, json={"name": "Web", "channelType": "web", "placements": placements})).json()

    assert [(one["key"], one["channelId"], one["maxSlots"]) for one in created["placements"]] == [
        ("hero", created["id"], 1),
        ("side-bar", created["id"], 2),
    ]
    assert (await api.viewer.get("/api/v1/placements/hero")).json() == created["placements"][0]
    assert (await api.viewer.get(f"{PATH}/{created['key']}")).json() == created
    assert (await api.viewer.get(PATH)).json()["data"] == [created]
    assert (await api.editor.delete(f"{PATH}/{created['id']}")).status_code == 204
    assert (await api.viewer.get("/api/v1/placements/hero")).status_code == 404


async def test_a_bad_placement_creates_nothing(api: Clients) -> None:
    bad = {"name": "Web", "placements": [{"name": "Hero"}, {"name": "Side", "maxSlots": 0}]}
    taken = {"name": "App", "placements": [{"name": "Hero", "key": "hero"}, {"name": "Other", "key": "hero"}]}

    refused, conflict = await api.editor.post(PATH, json=bad), await api.editor.post(PATH, json=taken)

    assert (refused.status_code, refused.json()["error"]["details"][0]["path"]) == (400, "$.placements[1].maxSlots")
    assert (conflict.status_code, conflict.json()["error"]["details"][0]["path"]) == (409, "$.placements[1].key")
    for path in (PATH, "/api/v1/placements"):
        assert (await api.viewer.get(path)).json()["pagination"]["total"] == 0


async def test_a_taken_name_is_a_conflict_until_its_owner_is_deleted(api: Clients) -> None:
    first = (await api.editor.post(PATH, json={"name": "Web"})).json()

    assert (await api.editor.post(PATH, json={"name": "Web"})).status_code == 409
    other = (await api.editor.post(PATH, json={"name": "App"})).json()
    assert (await api.editor.put(f"{PATH}/{other['id']}", json={"name": "Web"})).status_code == 409
    await api.editor.delete(f"{PATH}/{first['id']}")
    assert (await api.editor.post(PATH, json={"name": "Web"})).status_code == 201


async def test_a_wrong_media_type_is_refused(api: Clients) -> None:
    refused = await api.editor.post(PATH, content=b"name=Web", headers={"Content-Type": "text/plain"})

    assert refused.status_code == 415


async def test_an_unknown_choice_is_refused(api: Clients) -> None:
    for field in ("channelType", "deliveryMode", "impressionMode", "couplingMode", "status"):
        refused = await api.editor.post(PATH, json={"name": "Web", field: "pigeon"})

        assert refused.status_code == 400
        assert refused.json()["error"]["details"][0]["path"] == f"$.{field}"


async def test_placements_are_no_part_of_a_change(api: Clients) -> None:
    created = (await api.editor.post(PATH, json={"name": "Web"})).json()

    refused = await api.editor.put(f"{PATH}/{created['id']}", json={"placements": []})

    assert refused.status_code == 400
