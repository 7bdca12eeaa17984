"""Searching in a real OpenSearch: the contract, and what becomes of searches while it is away."""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from kaireon_runtime.settings import SearchBackend
from kaireon_storage.search.feed import SearchFeed
from kaireon_testkit.native.opensearch import NoOpenSearch, running_opensearch
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.conftest import api, app, other_shop, shop
from tests.api.conftest import settings as api_settings
from tests.api.search_contract import SearchContract, Settle, find

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kaireon_api.app import Api
    from kaireon_api.settings import Settings
    from tests.api.shop import Shop

__all__ = ["api", "api_settings", "app", "other_shop", "shop"]

pytestmark = pytest.mark.backends


@pytest.fixture(scope="module")
def opensearch_url(clone: Path) -> Iterator[str]:
    try:
        with running_opensearch(clone) as url:
            yield url
    except NoOpenSearch as error:
        pytest.skip(str(error))


@pytest.fixture
def settings(api_settings: Settings, opensearch_url: str) -> Settings:
    changed = {
        "search_index": SearchBackend.OPENSEARCH,
        "opensearch_url": opensearch_url,
        "opensearch_index": f"test-{secrets.token_hex(4)}",
    }
    return api_settings.model_copy(update=changed)


@pytest.fixture
def settle(app: Api) -> Settle:
    """Have the index follow now; the application's own feed would do so within a second."""
    reading = app.services.reading
    assert reading.opensearch is not None
    index = reading.opensearch
    feed = SearchFeed(app.services.database, index)

    async def now() -> None:
        await feed.follow()

    return now


class TestOpenSearch(SearchContract):
    """The contract, on a real server."""

    async def test_the_feed_of_the_application_follows(self, shop: Shop) -> None:
        await shop.create("offers", key="later", name="Something later", status="draft")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await find(shop, "something"):
                await asyncio.sleep(0.05)

    async def test_an_older_version_never_replaces_a_newer_one(self, shop: Shop, app: Api, settle: Settle) -> None:
        index = app.services.reading.opensearch
        assert index is not None
        await shop.create("offers", key="later", name="Something later", status="draft")
        await settle()
        newest = await index.generation(shop.tenant_id)
        await index.write(shop.tenant_id, newest - 1, [])
        assert await find(shop, "something") == ["later"]

    async def test_the_command_writes_it_anew(self, shop: Shop, settings: Settings, settle: Settle) -> None:
        url = f"{settings.opensearch_url}/{settings.opensearch_index}"
        async with httpx.AsyncClient() as client:
            await client.delete(url)
        environment = {
            "DATABASE_URL": settings.database_url,
            "SEARCH_INDEX": "opensearch",
            "OPENSEARCH_URL": settings.opensearch_url or "",
            "OPENSEARCH_INDEX": settings.opensearch_index,
        }
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kaireon_cli", "search", "rebuild", env=environment, stdout=asyncio.subprocess.PIPE
        )
        told, _ = await command.communicate()
        assert (command.returncode, b"things can be found" in told) == (0, True)
        assert await find(shop, "personal") == ["loan.2026"]


async def test_postgres_answers_while_opensearch_is_away(shop: Shop, app: Api, settings: Settings) -> None:
    index = app.services.reading.opensearch
    assert index is not None
    index._client.base_url = httpx.URL(f"http://127.0.0.1:{free_port()}")
    assert await find(shop, "silver", types="offers") == ["silver"]
    assert "kaireon_search_fallbacks_total 1.0" in app.services.metrics.render().decode()
