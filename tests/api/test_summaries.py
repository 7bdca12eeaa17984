"""The summaries: aggregates per customer, offer, creative, channel and period, exact at every moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.shop import Shop


async def rows(shop: Shop, **parameters: Any) -> list[dict[str, Any]]:
    return (await shop.get("interaction-summaries", **{"customerId": "c1", **parameters}))["data"]


async def test_everything_is_counted_once_in_its_day_and_in_all_time(shop: Shop) -> None:
    decision = await shop.recommend(channel="web", limit=1)
    about = {"recommendationId": decision["recommendationId"], "rank": 1}
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    await shop.respond("k1", **about, outcome="click")
    await shop.respond("k2", **about, outcome="convert", conversionValue=9.5)
    await shop.respond("k2", **about, outcome="convert", conversionValue=9.5)
    await shop.respond("k3", **about, outcome="dismiss", timestamp=yesterday)
    await shop.respond("k4", **about, outcome="deferred")
    await shop.respond("k5", **about, outcome="impression")

    alltime, today, before = await rows(shop)

    counted = ("impressions", "positive", "negative", "neutral", "converts", "totalValue")
    assert [alltime["periodType"], today["periodType"], before["periodType"]] == ["alltime", "daily", "daily"]
    assert [alltime[name] for name in counted] == [2, 2, 1, 1, 1, 9.5]
    assert [today[name] for name in counted] == [2, 2, 0, 1, 1, 9.5]
    assert [before[name] for name in counted] == [0, 0, 1, 0, 0, 0.0]
    assert before["periodKey"] == yesterday[:10]
    assert (alltime["offerId"], alltime["channelId"]) == (
        decision["decisions"][0]["offerId"],
        decision["decisions"][0]["channelId"],
    )
    assert alltime["lastContactAt"] is not None
    assert before["lastContactAt"] is None


async def test_a_day_is_the_tenants(shop: Shop) -> None:
    await shop.api.admin.put("/api/v1/tenant-settings", json={"timezone": "Pacific/Kiritimati"})
    at = datetime.now(UTC).replace(hour=12) - timedelta(days=2)

    async def day(key: str) -> str:
        await shop.respond(key, customerId=key, creativeId="gold-web", timestamp=at.isoformat())
        return (await rows(shop, customerId=key, periodType="daily"))[0]["periodKey"]

    days = [await day(f"k{number}") for number in range(3)]
    for number in range(100):
        days.append(await day(f"later{number}"))
        if days[-1] == (at + timedelta(days=1)).date().isoformat():
            break
    assert days[-1] == (at + timedelta(days=1)).date().isoformat()


async def test_summaries_are_filtered_and_paged(shop: Shop) -> None:
    for number, creative in enumerate(("gold-web", "gold-mail", "silver-web")):
        await shop.respond(f"k{number}", creativeId=creative)

    assert len(await rows(shop)) == 6
    assert len(await rows(shop, periodType="daily")) == 3
    assert len(await rows(shop, periodType="alltime", offerId="gold")) == 2
    assert len(await rows(shop, periodType="alltime", channelId="web")) == 2
    assert await rows(shop, offerId="nobody") == await rows(shop, customerId="nobody") == []
    page = await shop.get("interaction-summaries", customerId="c1", limit=4)
    rest = await shop.get("interaction-summaries", customerId="c1", limit=4, cursor=page["pagination"]["nextCursor"])
    assert (page["pagination"]["total"], page["pagination"]["hasMore"]) == (6, True)
    assert page["data"] + rest["data"] == await rows(shop)
    assert rest["pagination"]["nextCursor"] is None


async def test_a_customer_is_required_and_periods_are_known(shop: Shop, other_shop: Shop) -> None:
    await other_shop.respond("k", creativeId="gold-web")

    missing = await shop.api.viewer.get("/api/v1/interaction-summaries")
    wrong = await shop.api.viewer.get("/api/v1/interaction-summaries?customerId=c1&periodType=hourly")

    assert (missing.status_code, "customerId is required" in missing.json()["error"]["message"]) == (400, True)
    assert wrong.status_code == 400
    assert await rows(shop) == []
