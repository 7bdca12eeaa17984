"""Hard constraints over HTTP: stock, budgets, caps of an offer and of the system; exact whatever happens at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.shop import Shop

CAP = {"name": "cap", "scope": "offer", "scopeId": "gold", "maxVolume": 3, "period": "daily"}


async def change(shop: Shop, key: str, **body: Any) -> dict[str, Any]:
    answer = await shop.api.admin.put(f"/api/v1/offers/{key}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def convert(shop: Shop, key: str, **body: Any) -> None:
    answer = await shop.respond(key, creativeId="gold-mail", outcome="convert", **body)
    assert answer.status_code == 201, answer.text


async def offered(shop: Shop, customer_id: str = "c1", **body: Any) -> list[str]:
    return [item["offerKey"] for item in (await shop.recommend(customer_id, **body))["decisions"]]


async def why(shop: Shop, key: str = "gold") -> str:
    return (await shop.get(f"customers/c1/why-not/{key}"))["summary"]


async def test_stock_is_taken_by_positive_outcomes_and_never_falls_below_zero(shop: Shop) -> None:
    await change(shop, "gold", inventory={"totalStock": 2})
    await convert(shop, "one")
    await shop.respond("no", creativeId="gold-mail", outcome="dismiss")
    left = (await shop.get("offers/gold"))["inventory"]
    still = await offered(shop)
    await convert(shop, "two")

    assert left == {"totalStock": 2, "remainingStock": 1}
    assert still[0] == "gold"
    assert await offered(shop) == ["silver", "bronze"]
    assert await why(shop) == "Blocked by constraints: the offer is out of stock"
    await convert(shop, "three")
    assert (await shop.get("offers/gold"))["inventory"]["remainingStock"] == 0


async def test_new_stock_is_counted_from_then_on(shop: Shop) -> None:
    await change(shop, "gold", inventory={"totalStock": 1})
    await convert(shop, "one")
    changed = await change(shop, "gold", inventory={"totalStock": 5, "remainingStock": 3})
    # Publishing includes all writes before it.
    await shop.flow("again")

    assert changed["inventory"]["remainingStock"] == 3
    assert "gold" in await offered(shop)
    await convert(shop, "two")
    assert (await shop.get("offers/gold"))["inventory"]["remainingStock"] == 2


async def test_a_budget_is_spent_by_positive_outcomes(shop: Shop) -> None:
    await change(shop, "gold", budget={"dailyCapCents": 100, "costPerOutcomeCents": 60})
    await change(shop, "silver", budget={"lifetimeCapCents": 100, "currentLifetimeSpentCents": 100})
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    await convert(shop, "old", timestamp=yesterday)
    await convert(shop, "one")
    before = await offered(shop)
    await convert(shop, "two")

    assert before == ["gold", "bronze"]
    assert await offered(shop) == ["bronze"]
    assert await why(shop) == "Blocked by constraints: the offer's budget of the day is spent"
    assert await why(shop, "silver") == "Blocked by constraints: the offer's budget is spent"
    budget = (await shop.get("offers/gold"))["budget"]
    assert budget["currentLifetimeSpentCents"] == 180
    assert budget["currentDailySpentCents"] == 120
    assert budget["lastDailyResetDate"] == datetime.now(UTC).date().isoformat()


async def test_an_offer_is_shown_to_a_customer_as_often_as_it_may(shop: Shop) -> None:
    await change(shop, "gold", frequencyCaps={"perCustomer": {"daily": 2, "monthly": 3}})

    first, second, third = [await offered(shop, channel="web", limit=1) for _ in range(3)]

    assert (first, second, third) == (["gold"], ["gold"], ["silver"])
    assert await offered(shop, "c2", channel="web", limit=1) == ["gold"]


async def test_a_system_wide_cap_is_filled_exactly_by_simultaneous_decisions(shop: Shop, second: Shop) -> None:
    cap = await shop.create("frequency-caps", **{**CAP, "maxVolume": 7})
    assert (cap["currentCount"], cap["enabled"]) == (0, True)
    await asyncio.gather(shop.recommend("somebody else"), second.recommend("somebody else again"))

    answers = await asyncio.gather(
        *(offered((shop, second)[place % 2], f"c{place}", channel="web", limit=1) for place in range(40))
    )

    assert sorted(answers) == [["gold"]] * 7 + [["silver"]] * 33
    assert (await shop.get(f"frequency-caps/{cap['id']}"))["currentCount"] == 7
    rows = await shop.rows(
        "SELECT count(*) AS shown FROM interactions AS i JOIN entities AS e ON e.id = i.offer_id"
        " WHERE i.tenant_id = %(tenant_id)s AND e.key = 'gold' AND i.kind = 'impression'"
    )
    assert rows[0]["shown"] == 7
    trace = (await shop.get("decision-traces", customerId="c39", limit=1))["data"][0]
    detail = await shop.get(f"decision-traces/{trace['id']}")
    dropped = [detail[f"{name}Results"] for name in ("inventory", "qualification", "contactPolicy")]
    assert sum(map(len, dropped)) + len(detail["scoringResults"]) == detail["candidateCount"]
    replayed = await shop.api.viewer.post(f"/api/v1/decision-traces/{trace['id']}/replay")
    assert replayed.json() == {"identical": True, "differences": []}


async def test_a_list_is_decided_within_a_system_wide_cap(shop: Shop) -> None:
    cap = await shop.create("frequency-caps", **CAP)

    answer = await shop.api.viewer.post(
        "/api/v1/decide", json={"customerIds": [f"c{place}" for place in range(50)], "channel": "web", "limit": 1}
    )

    found = [result["decisions"][0]["offerKey"] for result in answer.json()["results"]]
    assert (found.count("gold"), found.count("silver")) == (3, 47)
    assert (await shop.get(f"frequency-caps/{cap['key']}"))["currentCount"] == 3


async def test_a_cap_counts_explicit_impressions_of_its_place_from_its_creation_on(shop: Shop) -> None:
    await shop.respond("before", creativeId="gold-mail", outcome="impression")
    channel = await shop.get("channels/mail")
    caps = [
        await shop.create("frequency-caps", **CAP),
        await shop.create(
            "frequency-caps", name="mails", scope="channel", scopeId="mail", maxVolume=9, period="weekly"
        ),
        await shop.create("frequency-caps", name="webs", scope="channel", scopeId="web", maxVolume=9, period="monthly"),
    ]
    # Publishing includes all writes before it.
    await shop.flow("again")
    for key in ("one", "two", "two"):
        await shop.respond(key, creativeId="gold-mail", outcome="impression")
    earlier = (datetime.now(UTC) - timedelta(days=45)).isoformat()
    await shop.respond("earlier", creativeId="gold-mail", outcome="impression", timestamp=earlier)
    await shop.respond("click", creativeId="gold-mail", outcome="click")

    counts = [(await shop.get(f"frequency-caps/{cap['key']}"))["currentCount"] for cap in caps]
    assert counts == [2, 2, 0]
    assert caps[1]["scopeId"] == channel["id"]
    resets = [datetime.fromisoformat(cap["resetAt"]) for cap in caps]
    assert all(reset > datetime.now(UTC) for reset in resets)
    assert (resets[0].hour, resets[1].weekday(), resets[2].day) == (0, 0, 1)


async def test_a_cap_that_is_switched_off_holds_nobody_back(shop: Shop) -> None:
    await shop.create("frequency-caps", **{**CAP, "maxVolume": 1, "enabled": False})

    assert [await offered(shop, channel="web", limit=1) for _ in range(2)] == [["gold"], ["gold"]]


async def test_a_wrong_cap_is_refused(shop: Shop) -> None:
    await shop.create("frequency-caps", **CAP)
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({}, 400, "$.scopeId"),
        ({"maxVolume": 0}, 400, "$.maxVolume"),
        ({"scope": "global"}, 400, "$.scope"),
        ({"period": "yearly"}, 400, "$.period"),
        ({"scopeId": "nothing"}, 404, "$.scopeId"),
    ]
    for change_, status, path in wrong:
        answer = await shop.api.admin.post("/api/v1/frequency-caps", json={**CAP, **change_})
        assert (answer.status_code, answer.json()["error"]["details"][0]["path"]) == (status, path), answer.text
    other = await shop.api.admin.post("/api/v1/volume-constraints", json={**CAP, "period": "weekly"})
    assert other.status_code == 201
    assert (await shop.api.viewer.post("/api/v1/frequency-caps", json=CAP)).status_code == 403
