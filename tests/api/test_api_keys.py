"""API keys: shown once, revoked everywhere within a second, never above their maker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_api.app import build_app, opened
from kaireon_api.auth import Authenticator
from kaireon_api.operation import Role
from kaireon_application.errors import Unauthorized
from kaireon_storage.postgres.api_keys import PostgresApiKeys
from kaireon_testkit.platform.tenant import TEST_PEPPER

if TYPE_CHECKING:
    from kaireon_api.settings import Settings
    from kaireon_storage.postgres.database import Database
    from tests.api.conftest import Clients, Eventually

PATH = "/api/v1/api-keys"


async def test_a_created_key_is_shown_once_and_works(api: Clients) -> None:
    created = await api.admin.post(PATH, json={"name": "storefront", "role": "editor", "scopes": []})

    assert created.status_code == 201
    body = created.json()
    assert body["key"].startswith(body["prefix"])
    assert body["prefix"].startswith("krn_")
    assert (body["role"], body["name"], body["expiresAt"]) == ("editor", "storefront", None)
    async with api.with_key(body["key"]) as client:
        assert (await client.get(PATH)).json()["error"]["code"] == "FORBIDDEN"
    listed = (await api.admin.get(PATH)).json()
    assert body["id"] in {key["id"] for key in listed["data"]}
    assert body["key"] not in str(listed)


async def test_a_key_is_a_viewers_unless_asked_otherwise(api: Clients) -> None:
    body = (await api.admin.post(PATH, json={})).json()

    assert body["role"] == "viewer"
    assert body["name"].startswith("key-")


async def test_the_list_is_paged_newest_first(api: Clients) -> None:
    made = [(await api.admin.post(PATH, json={"name": f"key {n}"})).json()["id"] for n in range(3)]

    first = (await api.admin.get(PATH, params={"limit": 2})).json()
    second = (await api.admin.get(PATH, params={"limit": 4, "cursor": first["pagination"]["nextCursor"]})).json()

    assert [key["id"] for key in first["data"]] == made[:0:-1]
    assert first["pagination"] == {
        "total": 6,
        "limit": 2,
        "hasMore": True,
        "nextCursor": first["pagination"]["nextCursor"],
    }
    assert second["data"][0]["id"] == made[0]
    assert second["pagination"]["nextCursor"] is None


@pytest.mark.parametrize("form", ["path", "query"])
async def test_a_revoked_key_is_refused_by_every_process(
    api: Clients, settings: Settings, eventually: Eventually, form: str
) -> None:
    body = (await api.admin.post(PATH, json={"role": "admin"})).json()
    other = build_app(settings)
    async with (
        opened(other.services),
        api.with_key(body["key"]) as here,
        api.with_key(body["key"], other) as there,
    ):
        assert [(await client.get(PATH)).status_code for client in (here, there)] == [200, 200]
        if form == "path":
            revoked = await api.admin.request("DELETE", f"{PATH}/{body['id']}", json={"reason": "rotated"})
        else:
            revoked = await api.admin.delete(PATH, params={"id": body["id"]})
        assert (revoked.status_code, revoked.content) == (204, b"")

        async def refused() -> bool:
            return {(await client.get(PATH)).status_code for client in (here, there)} == {401}

        await eventually(refused)
    assert body["id"] not in {key["id"] for key in (await api.admin.get(PATH)).json()["data"]}


async def test_what_a_process_knows_of_a_key_lapses_before_the_second_after_its_revocation(
    api: Clients, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr("kaireon_api.auth.time", clock)
    # Nothing reads the keys again behind its back: it believes for as long as it ever does.
    authenticator = Authenticator(PostgresApiKeys(database), TEST_PEPPER)
    body = (await api.admin.post(PATH, json={"role": "viewer"})).json()
    headers = {"x-api-key": body["key"]}
    assert (await authenticator.principal(headers)).role == Role.VIEWER
    assert (await api.admin.delete(f"{PATH}/{body['id']}")).status_code == 204

    clock.monotonic = lambda: 101.0
    with pytest.raises(Unauthorized):
        await authenticator.principal(headers)


@pytest.mark.parametrize("unknown", ["0b50f3ce-6a35-4d8c-8b1c-3f2f3d8a1c55", "not-a-uuid", "%00"])
async def test_revoking_what_is_not_there_is_404_or_400(api: Clients, unknown: str) -> None:
    status = (await api.admin.delete(f"{PATH}/{unknown}")).status_code

    assert status == (400 if unknown == "%00" else 404)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"role": "root"}, "$.role"),
        ({"name": ""}, "$.name"),
        ({"scopes": [""] * 2}, "$.scopes[0]"),
        ({"scopes": ["x"] * 17}, "$.scopes"),
        ({"expiresAt": "yesterday"}, "$.expiresAt"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "$.expiresAt"),
        ({"key": "krn_mine"}, "$.key"),
    ],
)
async def test_a_wrong_body_is_refused_with_its_path(api: Clients, body: dict[str, Any], path: str) -> None:
    answer = await api.admin.post(PATH, json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["path"] == path


async def test_a_key_with_scopes_is_refused_elsewhere(api: Clients) -> None:
    body = (await api.admin.post(PATH, json={"role": "admin", "scopes": ["scim"]})).json()

    async with api.with_key(body["key"]) as client:
        assert (await client.get(PATH)).status_code == 403
