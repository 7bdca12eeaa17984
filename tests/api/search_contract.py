"""What every search index does, whatever keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api.shop import Shop

# Waits until what was configured so far can be found.
Settle = Callable[[], Awaitable[None]]
OFFERS = {
    "travel-card": ("Gold travel card", "Miles for every trip"),
    "gold_card": ("Gold card", "Cash back"),
    "loan.2026": ("Personal loan", "Golden years, no fee"),
    "ueber": ("Überraschung für Kunden", None),
}


async def find(shop: Shop, q: str, **query: Any) -> list[str]:
    """Return the keys of what is found, the best first."""
    return [hit["key"] for hit in (await shop.get("search", q=q, **query))["data"]]


class SearchContract:
    """Subclasses' modules have the fixture `settle`."""

    @pytest.fixture(autouse=True)
    async def _offers(self, shop: Shop, settle: Settle) -> None:
        for offer in ("gold", "silver", "bronze"):
            await shop.api.admin.delete(f"/api/v1/offers/{offer}")
        for key, (name, description) in OFFERS.items():
            await shop.create("offers", key=key, name=name, description=description, status="active")
        await settle()

    @pytest.mark.parametrize(
        ("q", "keys"),
        [
            ("gold card", {"travel-card", "gold_card"}),
            ("car gol", {"travel-card", "gold_card"}),
            ("GOLD", {"travel-card", "gold_card", "loan.2026"}),
            ("gold_card", {"travel-card", "gold_card"}),
            ("loan.2026", {"loan.2026"}),
            ("2026", {"loan.2026"}),
            ("miles", {"travel-card"}),
            ("über", {"ueber"}),
            ("(gold:*) & !card' | \\", {"travel-card", "gold_card"}),
        ],
    )
    async def test_every_word_begins_a_word(self, shop: Shop, q: str, keys: set[str]) -> None:
        assert set(await find(shop, q, types="offers")) == keys

    async def test_what_is_called_just_so_is_first_and_descriptions_are_last(self, shop: Shop) -> None:
        assert await find(shop, "gold card", types="offers") == ["gold_card", "travel-card"]
        assert (await find(shop, "gold", types="offers"))[-1] == "loan.2026"

    async def test_a_misspelled_word_is_found(self, shop: Shop) -> None:
        assert await find(shop, "personl loan", types="offers") == ["loan.2026"]
        assert "travel-card" in await find(shop, "travle", types="offers")

    async def test_a_hit_says_what_it_is(self, shop: Shop) -> None:
        (hit,) = (await shop.get("search", q="personal"))["data"]
        assert hit.keys() == {"type", "id", "key", "name", "status", "description", "score", "updatedAt"}
        assert (hit["type"], hit["name"], hit["status"]) == ("offers", "Personal loan", "active")
        assert (await shop.api.viewer.get(f"/api/v1/offers/{hit['id']}")).json()["key"] == "loan.2026"

    async def test_types_narrow_the_search(self, shop: Shop, settle: Settle) -> None:
        await shop.create("categories", key="gold", name="Gold")
        await shop.flow("gold-flow", publish=False)
        await settle()
        assert await find(shop, "gold", types="categories,decision-flows") == ["gold", "gold-flow"]
        assert await find(shop, "gold", types="category,decision-flow") == ["gold", "gold-flow"]
        assert {"gold", "gold-flow", "gold_card"} <= set(await find(shop, "gold"))

    async def test_what_is_changed_or_deleted_is_found_so(self, shop: Shop, settle: Settle) -> None:
        await shop.api.admin.put("/api/v1/offers/gold_card", json={"name": "Platinum card"})
        await shop.api.admin.delete("/api/v1/offers/travel-card")
        await settle()
        assert await find(shop, "platinum", types="offers") == ["gold_card"]
        assert await find(shop, "travel", types="offers") == []

    async def test_another_tenant_finds_nothing_of_ours(self, shop: Shop, other_shop: Shop, settle: Settle) -> None:
        await settle()
        assert await find(other_shop, "personal") == []
        assert await find(other_shop, "silver", types="offers") == ["silver"]
        assert await find(shop, "personal") == ["loan.2026"]

    async def test_pages_follow_each_other(self, shop: Shop, settle: Settle) -> None:
        await asyncio.gather(
            *(shop.create("offers", key=f"many-{number}", name=f"Many {number}", status="draft") for number in range(7))
        )
        await settle()
        seen, cursor = list[str](), None
        for length in (3, 3, 1):
            page = await shop.get("search", q="many", types="offers", limit=3, **({"cursor": cursor} if cursor else {}))
            cursor = page["pagination"]["nextCursor"]
            assert (len(page["data"]), page["pagination"]["total"]) == (length, 7)
            seen += [hit["key"] for hit in page["data"]]
        assert (cursor, len(set(seen))) == (None, 7)
