"""Searching what is configured: in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.api.search_contract import SearchContract, Settle, find

if TYPE_CHECKING:
    from tests.api.shop import Shop


@pytest.fixture
def settle() -> Settle:
    """Nothing to wait for: what is committed is found."""

    async def at_once() -> None:
        return

    return at_once


class TestPostgres(SearchContract):
    """The contract, on the words that Postgres keeps."""

    async def test_without_similar_words_others_are_found(self, shop: Shop, database_url: str) -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute("DROP EXTENSION pg_trgm")
        assert await find(shop, "personl") == []
        assert await find(shop, "personal") == ["loan.2026"]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("", "query.q"),
        ("?q=", "query.q"),
        ("?q=%20!!%20", "query.q"),
        ("?q=" + "a+" * 13, "query.q"),
        ("?q=" + "a" * 256, "query.q"),
        ("?q=a&types=offers,nothings", "query.types"),
        ("?q=a&limit=101", "query.limit"),
        ("?q=a&cursor=x", "query.cursor"),
    ],
)
async def test_what_is_no_search_is_told(shop: Shop, query: str, path: str) -> None:
    answer = await shop.api.viewer.get(f"/api/v1/search{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["path"] == path
