"""Postgres gone, silent, and back: refused in time, and served again without anybody's help."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from kaireon_api.app import build_app, opened
from kaireon_testkit.platform.tenant import Tenant
from tests.api.gate import Gate

if TYPE_CHECKING:
    from kaireon_api.settings import Settings
    from tests.api.conftest import Eventually

PATH = "/api/v1/tenant-settings"


@pytest.fixture
async def gate(database_url: str) -> AsyncIterator[Gate]:
    parts = urlsplit(database_url)
    gate = Gate(parts.hostname or "127.0.0.1", parts.port or 5432)
    await gate.open()
    yield gate
    await gate.shut()


@pytest.fixture
async def client(gate: Gate, settings: Settings, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    parts = urlsplit(settings.database_url)
    credentials = parts.netloc.rpartition("@")[0]
    url = urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{gate.port}"))
    app = build_app(settings.model_copy(update={"database_url": url}))
    headers = {"Authorization": f"Bearer {tenant.api_keys['admin']}"}
    async with (
        opened(app.services),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://kaireon.test", headers=headers
        ) as client,
    ):
        yield client


async def refused_in_time(client: httpx.AsyncClient, path: str) -> None:
    started_at = time.monotonic()
    answer = await client.get(path)

    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"]
    assert answer.json()["error"]["code"] == "UNAVAILABLE"
    assert time.monotonic() - started_at < 5  # the contract's bound, not a measurement


def is_served(client: httpx.AsyncClient) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return (await client.get(PATH)).status_code == 200

    return holds


def is_refused(client: httpx.AsyncClient) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return (await client.get(PATH)).status_code == 503

    return holds


async def test_a_postgres_that_refuses_is_503_until_it_is_back(
    gate: Gate, client: httpx.AsyncClient, eventually: Eventually
) -> None:
    assert (await client.get(PATH)).status_code == 200

    await gate.shut()
    await eventually(is_refused(client))
    for path in (PATH, "/api/ready"):
        await refused_in_time(client, path)

    await gate.open()
    await eventually(is_served(client))


async def test_a_postgres_that_is_silent_is_503_until_it_speaks(
    gate: Gate, client: httpx.AsyncClient, eventually: Eventually
) -> None:
    assert (await client.get(PATH)).status_code == 200

    gate.silence()
    await asyncio.sleep(1)  # what is known of the key lapses: from here on somebody has to ask Postgres
    for path in (PATH, "/api/ready"):
        await refused_in_time(client, path)

    gate.speak()
    await eventually(is_served(client))
