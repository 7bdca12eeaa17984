"""Where a tenant's histories are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Clients

PATH = "/api/v1/settings/interaction-store"
NAMES = ["postgresql", "keyspaces", "scylla", "dynamodb", "cassandra"]


async def test_the_setting_is_read_and_set(api: Clients) -> None:
    assert (await api.admin.get(PATH)).json() == {"backend": "postgresql", "allowedBackends": NAMES}

    changed = await api.admin.put(PATH, json={"backend": "postgresql"})

    assert (changed.status_code, changed.json()["backend"]) == (200, "postgresql")
    assert (await api.admin.get("/api/v1/tenant-settings")).json()["interactionStore"] == "postgresql"


@pytest.mark.parametrize(
    "body", [{"backend": "oracle"}, {"backend": "dynamodb"}, {"backend": None}, {}, {"backend": "postgresql", "x": 1}]
)
async def test_a_backend_that_is_not_here_is_refused(api: Clients, body: dict[str, Any]) -> None:
    answer = await api.admin.put(PATH, json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")


async def test_it_is_the_administrators_alone(api: Clients) -> None:
    for client in (api.editor, api.viewer):
        assert (await client.get(PATH)).status_code == 403
        assert (await client.put(PATH, json={"backend": "postgresql"})).status_code == 403
    assert (await api.anonymous.get(PATH)).status_code == 401
