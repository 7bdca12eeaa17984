"""Outcome types: the system's own are locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.api.conftest import Clients

PATH = "/api/v1/outcome-types"
SYSTEM = [
    "impression",
    "click",
    "dismiss",
    "accept",
    "convert",
    "not_presented",
    "requested_info",
    "not_interested",
    "expired",
    "deferred",
]


async def test_a_new_tenant_has_the_system_types_first_and_own_ones_behind(api: Clients) -> None:
    await api.editor.post(PATH, json={"name": "Zapped", "classification": "negative"})

    listed = (await api.viewer.get(PATH)).json()["data"]

    assert [row["key"] for row in listed] == [*SYSTEM, "zapped"]
    assert [row["isSystem"] for row in listed] == [True] * len(SYSTEM) + [False]


async def test_system_types_are_locked(api: Clients) -> None:
    for key in SYSTEM:
        assert (await api.admin.put(f"{PATH}/{key}", json={"name": "Mine"})).status_code == 409
        assert (await api.admin.delete(f"{PATH}/{key}")).status_code == 409
    assert (
        await api.editor.post(PATH, json={"name": "Click", "key": "click", "classification": "positive"})
    ).status_code == 409
    assert (await api.editor.post(PATH, json={"name": "X", "classification": "fine"})).status_code == 400
