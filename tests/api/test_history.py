"""The interaction history and the suppressions of a customer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.api.shop import Shop

ROW_FIELDS = {
    "outcomeTypeKey",
    "offerId",
    "creativeId",
    "channelId",
    "recommendationId",
    "rank",
    "timestamp",
    "eventId",
}


async def history(shop: Shop, **parameters: Any) -> list[dict[str, Any]]:
    return (await shop.get("interaction-history", **parameters))["data"]


async def test_a_response_is_readable_as_soon_as_it_is_answered(shop: Shop) -> None:
    decision = await shop.recommend(channel="web", limit=1)
    recorded = await shop.respond(
        "k", recommendationId=decision["recommendationId"], rank=1, outcome="convert", context={"mail": 7}
    )

    rows = await history(shop, customerId="c1")

    assert sorted(row["interactionType"] for row in rows) == ["convert", "impression", "recommendation"]
    assert all(row.keys() >= ROW_FIELDS for row in rows)
    assert {row["recommendationId"] for row in rows} == {decision["recommendationId"]}
    assert {row["rank"] for row in rows} == {1}
    assert rows[0]["id"] == recorded.json()["interactionId"]
    assert (rows[0]["offer"]["name"], rows[0]["creative"]["name"]) == ("gold", "gold-web")
    assert (rows[0]["context"], rows[0]["timestamp"]) == ({"mail": 7}, recorded.json()["timestamp"])


async def test_the_history_is_filtered(shop: Shop, other_shop: Shop) -> None:
    now = datetime.now(UTC)
    long_ago = (now - timedelta(days=20)).isoformat()
    first = await shop.recommend("one", channel="web", limit=1)
    await other_shop.recommend("one", channel="web", limit=1)
    await shop.respond("k1", customerId="two", creativeId="silver-mail", timestamp=long_ago)
    silver = await shop.get("offers/silver")
    cases: tuple[tuple[dict[str, Any], list[str]], ...] = (
        ({}, ["impression", "recommendation", "click"]),
        ({"customerId": "one"}, ["impression", "recommendation"]),
        ({"customerId": "nobody"}, []),
        ({"recommendationId": first["recommendationId"]}, ["impression", "recommendation"]),
        ({"recommendationId": "rec_x"}, []),
        ({"offerId": "silver"}, ["click"]),
        ({"actionId": silver["id"]}, ["click"]),
        ({"offerId": "nobody"}, []),
        ({"creativeId": "gold-web"}, ["impression", "recommendation"]),
        ({"treatmentId": "silver-mail"}, ["click"]),
        ({"type": "impression"}, ["impression"]),
        ({"type": "recommendation"}, ["recommendation"]),
        ({"since": (now - timedelta(minutes=5)).isoformat()}, ["impression", "recommendation"]),
    )

    for parameters, types in cases:
        found = [row["interactionType"] for row in await history(shop, **parameters)]
        assert sorted(found) == sorted(types), parameters
    assert [row["interactionType"] for row in await history(shop)][-1] == "click"


async def pages(shop: Shop, limit: int, **filters: Any) -> list[str]:
    """Return the ids of all rows, page by page."""
    found = list[str]()
    cursor: dict[str, str] = {}
    while True:
        page = await shop.get("interaction-history", limit=limit, **cursor, **filters)
        found += [row["id"] for row in page["data"]]
        assert len(page["data"]) <= limit
        if page["pagination"]["nextCursor"] is None:
            assert len(found) == page["pagination"]["total"]
            return found
        cursor = {"cursor": page["pagination"]["nextCursor"]}


async def test_the_history_is_paged_without_gaps(shop: Shop) -> None:
    # Together, so that many of them have the same instant.
    await asyncio.gather(
        *(shop.respond(f"k{number}", creativeId="gold-web") for number in range(7)),
        *(shop.recommend(f"c{number % 3}", channel="web") for number in range(6)),
        *(shop.recommend(f"c{number}", channel="email", limit=2) for number in range(5)),
    )

    gold = (await shop.get("offers/gold"))["id"]
    for filters, count in (({}, 7 + 6 * 6 + 5 * 2), ({"type": "recommendation"}, 28), ({"offerId": gold}, 7 + 12 + 5)):
        whole = await pages(shop, 200, **filters)
        assert len(set(whole)) == len(whole) == count, filters
        for limit in (1, 2, 7):
            assert await pages(shop, limit, **filters) == whole, (filters, limit)


WRONG = ({"limit": 0}, {"limit": 201}, {"limit": "x"}, {"cursor": "?"}, {"cursor": "bm9wZQ"})


async def test_a_wrong_query_is_refused(shop: Shop) -> None:
    for path in ("interaction-history", "interaction-summaries", "customers/c1/suppressions", "decision-traces"):
        for wrong in WRONG:
            answer = await shop.api.viewer.get(f"/api/v1/{path}", params={"customerId": "c1", **wrong})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST"), (path, wrong)
    for wrong in ("yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        answer = await shop.api.viewer.get("/api/v1/interaction-history", params={"since": wrong})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST"), wrong


async def test_a_deleted_offer_stays_in_the_history(shop: Shop) -> None:
    gold = await shop.get("offers/gold")
    await shop.respond("k", creativeId="gold-web")
    await shop.api.editor.delete("/api/v1/offers/gold")

    (row,) = await history(shop, offerId=gold["id"])

    assert row["offerId"] == gold["id"]
    assert row["offer"]["id"] == gold["id"]


# Which response starts which ban.
SCOPES: dict[str, dict[str, Any]] = {
    "global": {"scope": "global"},
    "offer": {"scope": "offer", "scopeId": "gold"},
    "channel": {"scope": "channel", "scopeId": "web"},
}


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_suppression_shows_a_running_cooldown(shop: Shop, other_shop: Shop, scope: str) -> None:
    await shop.policy("cooldown", {"cooldownHours": 24}, **SCOPES[scope])

    before = datetime.now(UTC)
    await shop.respond("k1", creativeId="gold-web", outcome="impression")
    await shop.respond("k2", creativeId="gold-web", outcome="impression")
    await shop.respond("k3", creativeId="gold-web", outcome="click")

    (row,) = (await shop.get("customers/c1/suppressions"))["data"]
    assert (row["scope"], row["policyType"], row["triggerCount"], row["isActive"]) == (scope, "cooldown", 2, True)
    assert row["reason"] == "Cooldown 24h after impression"
    assert datetime.fromisoformat(row["expiresAt"]) - before > timedelta(hours=23, minutes=59)
    assert (row["scopeId"] == "all") is (scope == "global")
    assert (await other_shop.get("customers/c1/suppressions"))["data"] == []
    assert (await shop.get("customers/nobody/suppressions"))["data"] == []


async def test_an_implicit_impression_suppresses_as_an_explicit_one_does(shop: Shop) -> None:
    await shop.policy("cooldown", {"cooldownHours": 24, "perOffer": True})

    await shop.recommend(channel="web", limit=2)

    rows = (await shop.get("customers/c1/suppressions"))["data"]
    assert sorted((row["scope"], row["offerName"]) for row in rows) == [("offer", "gold"), ("offer", "silver")]
    assert len(await shop.rows("SELECT 1 FROM suppressions WHERE tenant_id = %(tenant_id)s")) == 2


async def test_a_suppression_ends_with_its_time_or_its_policy(shop: Shop) -> None:
    await shop.policy("cooldown", {"cooldownHours": 1}, name="short")
    long = await shop.policy("cooldown", {"cooldownHours": 1000}, name="long")
    two_hours_ago = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    await shop.respond("k1", creativeId="gold-web", outcome="impression", timestamp=two_hours_ago)

    rows = (await shop.get("customers/c1/suppressions"))["data"]
    assert [row["isActive"] for row in rows] == [True, False]
    await shop.api.admin.put(f"/api/v1/contact-policies/{long['id']}", json={"status": "paused"})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(row["isActive"] for row in (await shop.get("customers/c1/suppressions"))["data"]):
            await asyncio.sleep(0.02)
    assert (await shop.recommend(channel="web"))["count"] == 3
