"""Who is let in, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import AsyncConnection

if TYPE_CHECKING:
    from tests.api.conftest import Clients

PATH = "/api/v1/tenant-settings"


NO_KEYS: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer nonsense"},
    {"Authorization": "Bearer krn_unknown"},
    {"Authorization": "Basic a3JuX3g6"},
    {"X-API-Key": "krn_" + "x" * 300},
    {"X-API-Key": "krn_\u00e9"},
]


async def test_no_valid_key_is_401(api: Clients) -> None:
    for headers in NO_KEYS:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = await api.anonymous.get(PATH, headers=raw)

        assert answer.status_code == 401, headers
        assert answer.json()["error"]["code"] == "UNAUTHORIZED"
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_both_headers_carry_a_key(api: Clients) -> None:
    key = api.tenant.api_keys["admin"]

    for headers in (
        {"X-API-Key": key},
        {"Authorization": f"bearer {key}"},
        {"Authorization": "Basic x", "X-API-Key": key},
    ):
        assert (await api.anonymous.get(PATH, headers=headers)).status_code == 200


async def test_a_tenant_header_must_agree_with_the_key(api: Clients) -> None:
    tenant_id = str(api.tenant.tenant_id)
    cases = {tenant_id: 200, tenant_id.upper(): 200, api.tenant.key: 200, "": 200, "someone-else": 403}

    got = {name: (await api.admin.get(PATH, headers={"X-Tenant-Id": name})).status_code for name in cases}

    assert got == cases


async def test_an_expired_key_is_401(api: Clients, database_url: str) -> None:
    body = (await api.admin.post("/api/v1/api-keys", json={"role": "admin"})).json()
    async with await AsyncConnection.connect(database_url) as connection:
        await connection.execute("UPDATE api_keys SET expires_at = now() WHERE id = %s", (body["id"],))

    async with api.with_key(body["key"]) as client:
        assert (await client.get(PATH)).status_code == 401


async def test_the_last_use_of_a_key_is_noted(api: Clients) -> None:
    keys = (await api.admin.get("/api/v1/api-keys")).json()["data"]

    assert {key["name"] for key in keys if key["lastUsedAt"] is not None} == {"admin"}


async def test_nobody_is_let_in_while_postgres_is_gone(api: Clients) -> None:
    assert (await api.admin.get(PATH)).status_code == 200
    services = api.app.services
    await services.database.close()

    answer = await api.viewer.get(PATH)

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "UNAVAILABLE"
    assert int(answer.headers["retry-after"]) >= 1
