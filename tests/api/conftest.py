"""The real application over real servers, as clients of each role see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest

from kaireon_api.app import Api, build_app, opened
from kaireon_api.settings import Settings
from kaireon_storage.postgres.database import Database
from kaireon_testkit import patience
from kaireon_testkit.platform.tenant import TEST_PEPPER, Tenant, create_tenant
from tests.api.shop import Shop, stock
from tests.worker.conftest import StartWorker, start_worker

__all__ = ["StartWorker", "start_worker"]

Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]

_BASE_URL = "http://kaireon.test"


@dataclass(frozen=True, kw_only=True)
class Clients:
    """One client per role, and one without a key."""

    app: Api
    tenant: Tenant
    admin: httpx.AsyncClient
    editor: httpx.AsyncClient
    viewer: httpx.AsyncClient
    anonymous: httpx.AsyncClient

    def with_key(self, key: str, app: Api | None = None) -> httpx.AsyncClient:
        """Return a client for another key, or of another application; the caller closes it."""
        return client_of(app or self.app, key)


def client_of(app: Api, key: str | None = None) -> httpx.AsyncClient:
    """Return a client that sends this key."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url=_BASE_URL, headers=headers)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """What the application under test is started with."""
    return Settings.model_validate(
        {
            "database_url": database_url,
            "redis_url": redis_url,
            "api_key_pepper": TEST_PEPPER,
            "worker_inprocess": False,
        }
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Api]:
    """The opened application."""
    built = build_app(settings)
    async with opened(built.services):
        yield built


@pytest.fixture
async def api(app: Api, tenant: Tenant) -> AsyncIterator[Clients]:
    """Clients of the opened application."""
    async with AsyncExitStack() as stack:

        async def enter(role: str | None) -> httpx.AsyncClient:
            key = None if role is None else tenant.api_keys[role]
            return await stack.enter_async_context(client_of(app, key))

        yield Clients(
            app=app,
            tenant=tenant,
            admin=await enter("admin"),
            editor=await enter("editor"),
            viewer=await enter("viewer"),
            anonymous=await enter(None),
        )


@pytest.fixture
async def shop(api: Clients, database: Database) -> Shop:
    """A tenant with a small catalogue."""
    await stock(api.admin)
    return Shop(api=api, database=database)


@pytest.fixture
async def other_shop(api: Clients, database: Database) -> AsyncIterator[Shop]:
    """Another tenant of the same application, with the same catalogue."""
    tenant = await create_tenant(database, "globex")
    async with AsyncExitStack() as stack:
        yield await _shop_of(api.app, tenant, database, stack, is_stocked=True)


@pytest.fixture
async def second(settings: Settings, api: Clients, database: Database) -> AsyncIterator[Shop]:
    """The same tenant through a second instance of the application."""
    built = build_app(settings)
    async with opened(built.services), AsyncExitStack() as stack:
        yield await _shop_of(built, api.tenant, database, stack, is_stocked=False)


async def _shop_of(app: Api, tenant: Tenant, database: Database, stack: AsyncExitStack, *, is_stocked: bool) -> Shop:
    roles = ("admin", "editor", "viewer")
    clients = [await stack.enter_async_context(client_of(app, tenant.api_keys[role])) for role in roles]
    anonymous = await stack.enter_async_context(client_of(app))
    if is_stocked:
        await stock(clients[0])
    api = Clients(app=app, tenant=tenant, admin=clients[0], editor=clients[1], viewer=clients[2], anonymous=anonymous)
    return Shop(api=api, database=database)


@pytest.fixture
def eventually() -> Eventually:
    """Wait until something holds, or raise `TimeoutError` after `PATIENCE_SECONDS`."""
    return patience.eventually
