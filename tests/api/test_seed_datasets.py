"""Sample packs over HTTP."""

from __future__ import annotations

from uuid import uuid4

import pytest

from kaireon_application.platform.sample_packs import COMPLETE_JOURNEY
from kaireon_storage.postgres.database import Database
from tests.api.conftest import Clients

URL = "/api/v1/seed-dataset"


async def pretend_loaded(api: Clients, database: Database) -> None:
    """Store the flow by which a loaded pack is known."""
    async with database.transaction(api.tenant.tenant_id) as connection:
        await connection.execute(
            "INSERT INTO entities (tenant_id, kind, id, key, name, status, body)"
            " VALUES (%s, 'decision_flow', %s, %s, 'f', 'active', '{}')",
            (api.tenant.tenant_id, uuid4(), COMPLETE_JOURNEY.flow_key),
        )


async def test_packs_are_listed_with_what_they_hold(api: Clients, database: Database) -> None:
    body = (await api.viewer.get(URL)).json()
    assert body["currentlyLoaded"] is None
    [pack] = body["datasets"]
    assert (pack["key"], pack["loaded"], pack["offerCount"]) == ("completejourney", False, COMPLETE_JOURNEY.offer_count)
    await pretend_loaded(api, database)
    body = (await api.viewer.get(URL)).json()
    assert (body["currentlyLoaded"], body["datasets"][0]["loaded"]) == ("completejourney", True)


async def test_seeding_is_a_job(api: Clients) -> None:
    answer = await api.editor.post(f"{URL}/completejourney")
    body = answer.json()
    assert answer.status_code == 202
    assert set(body) == {"jobId", "statusUrl"}
    job = (await api.viewer.get(body["statusUrl"])).json()
    assert (job["id"], job["queue"], job["status"]) == (body["jobId"], "seed-jobs", "queued")
    # Twice at once is a conflict; so is unloading what is being loaded.
    assert (await api.editor.post(f"{URL}/completejourney?force=true")).status_code == 409
    assert (await api.editor.delete(f"{URL}/completejourney")).status_code == 409


async def test_loaded_pack_is_loaded_again_only_by_force(api: Clients, database: Database) -> None:
    await pretend_loaded(api, database)
    assert (await api.editor.post(f"{URL}/completejourney")).status_code == 409
    assert (await api.editor.post(f"{URL}/completejourney?force=true")).status_code == 202


async def test_unloading_is_a_job(api: Clients, database: Database) -> None:
    await pretend_loaded(api, database)
    answer = await api.admin.delete(f"{URL}/completejourney")
    assert answer.status_code == 202
    assert (await api.viewer.get(answer.json()["statusUrl"])).json()["type"] == "unload_dataset"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_unknown_pack_is_404_and_a_viewer_may_not(api: Clients, method: str) -> None:
    assert (await api.editor.request(method, f"{URL}/starbucks")).status_code == 404
    assert (await api.viewer.request(method, f"{URL}/completejourney")).status_code == 403


async def test_bad_force_is_400(api: Clients) -> None:
    assert (await api.editor.post(f"{URL}/completejourney?force=perhaps")).status_code == 400
