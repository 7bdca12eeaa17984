"""Policies that wait after what a customer did: seen by the next decision, shown as suppressions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.api.shop import Shop

BANNED = {"afterOutcome": ["dismiss", "not_interested"], "suppressForDays": 30}


async def shown(shop: Shop, **body: Any) -> list[str]:
    """Return the offers of a decision that records no impression."""
    answer = await shop.recommend(channel="email", **body)
    return [decision["offerKey"] for decision in answer["decisions"]]


async def test_an_outcome_is_seen_by_the_next_decision_of_any_process(shop: Shop, second: Shop) -> None:
    await shop.policy("outcome_based", BANNED, scope="offer", scopeId="gold")
    for one in (shop, second):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await shown(one, limit=50) != ["gold", "silver", "bronze"]:
                await asyncio.sleep(0.02)

    await shop.respond("k1", creativeId="silver-mail", outcome="dismiss")
    assert [await shown(one) for one in (shop, second)] == [["gold", "silver", "bronze"]] * 2
    await shop.respond("k2", creativeId="gold-mail", outcome="dismiss")
    assert [await shown(one) for one in (shop, second)] == [["silver", "bronze"]] * 2
    assert await shown(shop, customerId="c2") == ["gold", "silver", "bronze"]


async def test_an_outcome_is_never_missed_in_the_midst_of_decisions(shop: Shop, second: Shop) -> None:
    await shop.policy("outcome_based", {**BANNED, "perOffer": True})

    for number in range(10):
        customer = f"c{number}"
        response = shop.respond(customer, customerId=customer, creativeId="gold-mail", outcome="dismiss")
        decisions = [one.recommend(customer, channel="web", limit=1) for one in (shop, second) * 3]
        answer, _ = await asyncio.gather(response, asyncio.gather(*decisions))

        assert answer.status_code == 201
        assert [await shown(one, customerId=customer) for one in (second, shop)] == [["silver", "bronze"]] * 2


async def test_a_ban_each_offer_ends_on_its_day(shop: Shop) -> None:
    await shop.policy("outcome_based", {**BANNED, "perOffer": True})
    now = datetime.now(UTC).replace(microsecond=0)
    for offer, days in (("gold", 29), ("silver", 31)):
        at = (now - timedelta(days=days)).isoformat()
        answer = await shop.respond(offer, creativeId=f"{offer}-mail", outcome="not_interested", timestamp=at)
        assert answer.status_code == 201

    assert await shown(shop) == ["silver", "bronze"]
    rows = (await shop.get("customers/c1/suppressions"))["data"]
    assert [(row["scope"], row["offerName"], row["isActive"]) for row in rows] == [
        ("offer", "gold", True),
        ("offer", "silver", False),
    ]
    assert {row["reason"] for row in rows} == {"Suppressed 30d after not_interested"}
    assert datetime.fromisoformat(rows[0]["expiresAt"]) == now + timedelta(days=1)


async def test_a_ban_shows_whatever_came_first_the_outcome_or_the_policy(shop: Shop) -> None:
    await shop.respond("k", creativeId="gold-mail", outcome="dismiss")
    policy = await shop.policy("outcome_based", {**BANNED, "perOffer": True})
    assert await shown(shop) == ["silver", "bronze"]

    async def rows() -> list[tuple[str, str, bool]]:
        found = (await shop.get("customers/c1/suppressions"))["data"]
        return [(row["offerName"], row["reason"], row["isActive"]) for row in found]

    assert await rows() == [("gold", "Suppressed 30d after dismiss", True)]
    for change, expected in (
        (
            {"config": {**BANNED, "suppressForDays": 2, "perOffer": True}},
            [("gold", "Suppressed 2d after dismiss", True)],
        ),
        ({"status": "paused"}, []),
    ):
        await shop.api.admin.put(f"/api/v1/contact-policies/{policy['id']}", json=change)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await rows() != expected:
                await asyncio.sleep(0.02)


async def test_a_response_suppresses_the_category(shop: Shop) -> None:
    category = await shop.create("categories", name="Metals", key="metals")
    for offer in ("gold", "silver"):
        await shop.api.editor.put(f"/api/v1/offers/{offer}", json={"categoryId": "metals"})
    config = {"categoryId": "metals", "suppressionDays": 3}
    policy = await shop.policy("category_suppression", config, scope=None)

    await shop.respond("k1", creativeId="gold-mail", outcome="deferred")
    await shop.respond("k2", creativeId="bronze-mail", outcome="click")
    assert set(await shown(shop)) == {"gold", "silver", "bronze"}
    await shop.respond("k3", creativeId="silver-mail", outcome="click")
    assert await shown(shop) == ["bronze"]

    (row,) = (await shop.get("customers/c1/suppressions"))["data"]
    assert (row["scope"], row["scopeId"], row["policyType"]) == ("category", category["id"], "category_suppression")
    answer = await shop.recommend()
    trace = await shop.get(f"decision-traces/{answer['recommendationId']}")
    dropped = next(one for one in trace["contactPolicyResults"] if one["offerKey"] == "silver")
    assert (dropped["type"], dropped["entityId"]) == ("category_suppression", policy["id"])
    detail = dropped["detail"]
    assert (detail["categoryId"], detail["suppressionDays"]) == (category["id"], 3)
    assert (detail["triggeringOfferId"], 0 <= detail["daysSince"] < 1) == (dropped["offerId"], True)


async def test_an_impression_is_an_outcome_too(shop: Shop) -> None:
    await shop.policy("outcome_based", {"afterOutcome": "impression", "suppressForDays": 1, "perOffer": True})

    first = await shop.recommend(channel="web", limit=1)
    then = await shop.recommend(channel="web", limit=1)

    assert [one["decisions"][0]["offerKey"] for one in (first, then)] == ["gold", "silver"]
    rows = (await shop.get("customers/c1/suppressions"))["data"]
    assert sorted(row["offerName"] for row in rows) == ["gold", "silver"]


async def test_why_not_and_the_trace_tell_what_the_customer_did(shop: Shop) -> None:
    await shop.policy("outcome_based", BANNED, name="Rest")
    await shop.respond("k", creativeId="gold-mail", outcome="dismiss")

    answer = await shop.recommend()
    why_not = await shop.get("customers/c1/why-not/silver")
    trace = await shop.get(f"decision-traces/{answer['recommendationId']}")

    assert why_not["summary"] == "Blocked by contact policy: Rest"
    detail = trace["contactPolicyResults"][0]["detail"]
    assert (detail["afterOutcome"], detail["suppressForDays"]) == (["dismiss", "not_interested"], 30)
    assert (detail["lastOutcome"], 0 <= detail["daysSince"] < 1) == ("dismiss", True)
    (outcome,) = trace["facts"]["outcomes"]
    assert outcome[4:] == ["dismiss", True]
    again = await shop.api.viewer.post(f"/api/v1/decision-traces/{answer['recommendationId']}/replay", json={})
    assert again.json() == {"identical": True, "differences": []}
