"""Promotion over HTTP: legal transitions, one champion per family, the rollback guard, resolve-lifecycle."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_core.learning.lifecycle import TRANSITIONS, RegistryStatus

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Clients
    from tests.api.shop import Shop

MODELS = "/api/v1/algorithm-models"
# How a new model gets to each status.
WAYS = {
    "draft": [],
    "shadow": ["shadow"],
    "challenger": ["challenger"],
    "champion": ["shadow", "champion"],
    "archived": ["archived"],
}


async def create(client: httpx.AsyncClient, key: str, **fields: Any) -> dict[str, Any]:
    body = {"key": key, "name": key, "modelType": "scorecard", "status": "active", **fields}
    answer = await client.post(MODELS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def promote(client: httpx.AsyncClient, key: str, to_status: str, **fields: Any) -> httpx.Response:
    return await client.post(f"{MODELS}/{key}/promote", json={"toStatus": to_status, **fields})


async def bring(client: httpx.AsyncClient, key: str, status: str, **fields: Any) -> None:
    for step in WAYS[status]:
        answer = await promote(client, key, step, **fields)
        assert answer.status_code == 200, answer.text


async def status_of(client: httpx.AsyncClient, key: str) -> str:
    return (await client.get(f"{MODELS}/{key}")).json()["registryStatus"]


async def test_every_transition_is_legal_or_refused_as_documented(api: Clients) -> None:
    for before, after in product(RegistryStatus, RegistryStatus):
        key = f"{before}-to-{after}"
        model = await create(api.editor, key)
        await bring(api.editor, key, before)
        answer = await promote(api.editor, key, after)
        if after in TRANSITIONS[before]:
            assert answer.status_code == 200, (key, answer.text)
            found = answer.json()
            assert (found["modelId"], found["previousStatus"], found["newStatus"]) == (model["id"], before, after)
            assert found["demotedChampionId"] is None
            assert await status_of(api.viewer, key) == after
        else:
            assert answer.status_code == 400, (key, answer.text)
            assert answer.json()["error"]["code"] == "invalid_transition"
            assert await status_of(api.viewer, key) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"toStatus": "retired"},
        {"toStatus": "shadow", "force": True},
        {"toStatus": "shadow", "family": 1},
        {"toStatus": "shadow", "family": ""},
        {"toStatus": "shadow", "metricsSnapshot": [0.9]},
        {"toStatus": "shadow", "metricsSnapshot": {"auc": "0.9"}},
        {"toStatus": "shadow", "metricsSnapshot": {"auc": 84}},
        {"toStatus": "shadow", "metricsSnapshot": {"errorRate": True}},
        {"toStatus": "shadow", "metricsSnapshot": {"psi": -0.1}},
        {"toStatus": "shadow", "bypassRollbackGuard": "yes"},
    ],
)
async def test_a_bad_body_is_refused(api: Clients, body: dict[str, Any]) -> None:
    await create(api.editor, "m1")
    answer = await api.editor.post(f"{MODELS}/m1/promote", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert await status_of(api.viewer, "m1") == "draft"


async def test_a_new_champion_archives_the_old_one_of_its_family_only(api: Clients) -> None:
    old, _, _ = [await create(api.editor, key) for key in ("old", "new", "other")]
    await bring(api.editor, "old", "champion", family="cards")
    await bring(api.editor, "other", "champion", family="loans")
    await bring(api.editor, "new", "challenger", family="cards")
    answer = await promote(api.editor, "new", "champion", family="cards")
    assert answer.json()["demotedChampionId"] == old["id"]
    statuses = {key: await status_of(api.viewer, key) for key in ("old", "new", "other")}
    assert statuses == {"old": "archived", "new": "champion", "other": "champion"}


async def test_the_family_is_kept_and_is_the_name_by_default(api: Clients) -> None:
    await create(api.editor, "m1", name="Premium card")
    assert (await promote(api.editor, "m1", "shadow")).json()["family"] == "Premium card"
    assert (await promote(api.editor, "m1", "challenger", family="cards")).json()["family"] == "cards"
    assert (await promote(api.editor, "m1", "champion")).json()["family"] == "cards"


async def test_every_step_is_on_record(api: Clients) -> None:
    await create(api.editor, "m1")
    await bring(api.editor, "m1", "champion")
    steps = (await api.viewer.get(f"{MODELS}/m1")).json()["promotions"]
    assert [(step["previousStatus"], step["newStatus"]) for step in steps] == [
        ("draft", "shadow"),
        ("shadow", "champion"),
    ]


async def test_simultaneous_promotions_leave_one_champion(api: Clients) -> None:
    keys = [f"m{number}" for number in range(8)]
    for key in keys:
        await create(api.editor, key)
        await bring(api.editor, key, "shadow", family="cards")
    answers = await asyncio.gather(*(promote(api.editor, key, "champion") for key in keys))
    assert [answer.status_code for answer in answers] == [200] * len(keys)
    statuses = [await status_of(api.viewer, key) for key in keys]
    assert sorted(statuses) == ["archived"] * (len(keys) - 1) + ["champion"]
    demoted = [answer.json()["demotedChampionId"] for answer in answers]
    assert len({one for one in demoted if one is not None}) == len(keys) - 1


async def test_simultaneous_promotions_in_two_processes_leave_one_champion(api: Clients, second: Shop) -> None:
    keys = [f"m{number}" for number in range(6)]
    for key in keys:
        await create(api.editor, key)
        await bring(api.editor, key, "challenger", family="cards")
    editors = [api.editor, second.api.editor]
    answers = await asyncio.gather(
        *(promote(editors[place % 2], key, "champion") for place, key in enumerate(keys)),
        *(editors[place % 2].put(f"{MODELS}/{key}", json={"family": "cards"}) for place, key in enumerate(keys)),
    )
    assert {answer.status_code for answer in answers} == {200}
    statuses = [await status_of(api.viewer, key) for key in keys]
    assert sorted(statuses) == ["archived"] * (len(keys) - 1) + ["champion"]


async def test_a_model_that_is_a_draft_itself_does_not_become_champion(api: Clients) -> None:
    await create(api.editor, "m1", status="draft")
    await bring(api.editor, "m1", "shadow")
    refused = await promote(api.editor, "m1", "champion")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    await api.editor.put(f"{MODELS}/m1", json={"status": "active"})
    assert (await promote(api.editor, "m1", "champion")).status_code == 200


async def test_who_may_promote_and_what(api: Clients) -> None:
    await create(api.editor, "m1")
    assert (await promote(api.viewer, "m1", "shadow")).status_code == 403
    assert (await promote(api.anonymous, "m1", "shadow")).status_code == 401
    assert (await promote(api.editor, "nowhere", "shadow")).status_code == 404
    assert (await promote(api.admin, "m1", "shadow")).status_code == 200
    for client in (api.viewer, api.editor, api.admin):
        assert (await client.get(f"{MODELS}/resolve-lifecycle")).status_code == 200
    assert (await api.anonymous.get(f"{MODELS}/resolve-lifecycle")).status_code == 401


async def test_a_family_cannot_get_a_second_champion_by_a_change(api: Clients) -> None:
    for key in ("a", "b"):
        await create(api.editor, key)
        await bring(api.editor, key, "champion")
    answer = await api.editor.put(f"{MODELS}/b", json={"family": "a"})
    assert answer.status_code == 409, answer.text


async def test_the_rollback_guard_names_its_tests_and_changes_nothing(api: Clients) -> None:
    for key in ("old", "new"):
        await create(api.editor, key)
    await bring(api.editor, "old", "champion", family="f", metricsSnapshot={"auc": 0.9, "errorRate": 0.01})
    await bring(api.editor, "new", "shadow", family="f")
    bad = {"auc": 0.84, "errorRate": 0.05}
    refused = await promote(api.editor, "new", "champion", metricsSnapshot=bad)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (409, "rollback_guard")
    assert "auc" in error["message"]
    assert "errorRate" in error["message"]
    assert "psi" in error["message"].split("not tested")[1]
    assert [await status_of(api.viewer, key) for key in ("old", "new")] == ["champion", "shadow"]
    passed = await promote(api.editor, "new", "champion", metricsSnapshot=bad, bypassRollbackGuard=True)
    assert passed.status_code == 200
    assert len(passed.json()["rollbackGuardBreaches"]) == 2
    assert passed.json()["rollbackGuardSkipped"] == ["psi"]


async def test_the_guard_compares_with_the_metrics_of_an_untold_champion(api: Clients) -> None:
    await create(api.editor, "old", metrics={"auc": 0.9})
    await create(api.editor, "new")
    await create(api.editor, "loose", rollbackThresholds={"maxAucDrop": 0.2})
    await bring(api.editor, "old", "champion", family="f")
    for key in ("new", "loose"):
        await bring(api.editor, key, "shadow", family="f")
    assert (await promote(api.editor, "new", "champion", metricsSnapshot={"auc": 0.8})).status_code == 409
    assert (await promote(api.editor, "loose", "champion", metricsSnapshot={"auc": 0.8})).status_code == 200


async def test_the_guard_looks_at_champions_only(api: Clients) -> None:
    await create(api.editor, "m1")
    assert (await promote(api.editor, "m1", "shadow", metricsSnapshot={"psi": 1})).status_code == 200
    assert (await promote(api.editor, "m1", "champion")).json()["rollbackGuardSkipped"] == ["auc", "errorRate", "psi"]


async def test_resolve_lifecycle_splits_the_rest_evenly(api: Clients) -> None:
    ways = {"a": "champion", "b": "challenger", "c": "challenger", "d": "challenger", "e": "shadow", "g": "archived"}
    ids = {key: (await create(api.editor, key))["id"] for key in (*ways, "f")}
    for key, status in ways.items():
        await bring(api.editor, key, status, family="cards")
    answer = await api.viewer.get(f"{MODELS}/resolve-lifecycle", params={"family": "cards"})
    assert answer.json() == {
        "championModelKey": "a",
        "championModelId": ids["a"],
        "challengers": [
            {"modelKey": "b", "modelId": ids["b"], "weight": 7},
            {"modelKey": "c", "modelId": ids["c"], "weight": 7},
            {"modelKey": "d", "modelId": ids["d"], "weight": 6},
        ],
        "shadowModelKeys": ["e"],
        "family": "cards",
        "warnings": [],
    }
    assert (await api.viewer.get(f"{MODELS}/resolve-lifecycle")).json()["championModelKey"] == "a"


async def test_resolve_lifecycle_warns_of_what_will_not_score(api: Clients) -> None:
    await create(api.editor, "a")
    await bring(api.editor, "a", "champion", family="cards")
    await api.editor.put(f"{MODELS}/a", json={"status": "paused"})
    await create(api.editor, "b")
    await bring(api.editor, "b", "champion", family="loans")
    everything = (await api.viewer.get(f"{MODELS}/resolve-lifecycle")).json()
    assert len(everything["warnings"]) == 2
    nothing = (await api.viewer.get(f"{MODELS}/resolve-lifecycle", params={"family": "none"})).json()
    assert (nothing["championModelKey"], nothing["family"], len(nothing["warnings"])) == (None, "none", 1)


@pytest.mark.parametrize("weight", ["0", "100", "a", "50.5", ""])
async def test_a_champion_weight_out_of_range_is_refused(api: Clients, weight: str) -> None:
    answer = await api.viewer.get(f"{MODELS}/resolve-lifecycle", params={"championWeight": weight})
    assert answer.status_code == 400
