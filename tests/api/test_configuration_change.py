"""Once a process knows of a change of the configuration, every decision that begins is made by it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.api.shop import Shop


async def test_decisions_at_once_all_wait_for_a_change_that_is_known(shop: Shop) -> None:
    assert "gold" in await offers(shop, "before")
    for number, status in enumerate(["paused", "active"] * 3):
        answer = await shop.api.editor.put("/api/v1/offers/gold", json={"status": status})
        assert answer.status_code == 200, answer.text
        await shop.api.app.services.engine.snapshots.look()
        answers = await asyncio.gather(*(offers(shop, f"c{number}-{customer}") for customer in range(5)))
        assert [("gold" in keys) for keys in answers] == [status == "active"] * 5


async def offers(shop: Shop, customer_id: str) -> set[str]:
    answer = await shop.recommend(customer_id, channel="web", limit=3)
    return {item["offerKey"] for item in answer["decisions"]}
