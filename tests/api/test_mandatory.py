"""Mandatory offers and evidence over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api.shop import Shop


async def mandatory(shop: Shop, key: str, **body: Any) -> None:
    keys = (await shop.api.admin.get("/api/v1/api-keys")).json()["data"]
    admin = next(one["id"] for one in keys if one.get("role") == "admin")
    terms = {
        "mandatory": True,
        "mandatoryReason": "the law",
        "mandatoryExpiresAt": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        "mandatoryApprovedBy": admin,
    }
    created = await shop.create("offers", key=key, name=key, status="active", priority=1, **terms, **body)
    await shop.create(
        "creatives", key=f"{key}-web", name=f"{key}-web", offerId=created["id"], channelId="web", status="active"
    )


async def test_a_mandatory_offer_stands_before_all_others(shop: Shop) -> None:
    await mandatory(shop, "notice")
    await shop.create(
        "qualification-rules",
        name="adults",
        ruleType="attribute_condition",
        config={"attribute": "age", "operator": "gte", "value": 18},
    )
    await shop.policy("cooldown", {"cooldownHours": 24})

    first = await shop.recommend(channel="web", attributes={"age": 12})
    second = await shop.recommend(channel="web", attributes={"age": 40})

    seen = [(item["offerKey"], item["score"], item["rank"], item["mandatory"]) for item in first["decisions"]]
    assert seen == [("notice", 1.0, 1, True)]
    assert [item["offerKey"] for item in second["decisions"]] == ["notice"]
    replayed = await shop.api.viewer.post(f"/api/v1/decision-traces/{second['recommendationId']}/replay")
    assert replayed.json() == {"identical": True, "differences": []}


async def test_five_mandatory_offers_are_shown_in_a_day_and_the_rest_counted(shop: Shop) -> None:
    for number in range(6):
        await mandatory(shop, f"notice-{number}")
    await shop.flow("wide", {"type": "match_creatives"})

    first = await shop.recommend(channel="web", limit=8)
    second = await shop.recommend(channel="web", limit=8)

    assert [item["mandatory"] for item in first["decisions"]] == [True] * 5 + [False] * 3
    assert [item["offerKey"] for item in second["decisions"]] == ["gold", "silver", "bronze"]
    metrics = (await shop.api.anonymous.get("/api/metrics")).text
    assert "kaireon_mandatory_cap_hit_total 7.0" in metrics


async def test_a_tenant_may_allow_fewer_mandatory_offers(shop: Shop) -> None:
    for number in range(2):
        await mandatory(shop, f"notice-{number}")
    await shop.api.admin.put("/api/v1/tenant-settings", json={"maxMandatoryPerDay": 1})

    decision = await shop.recommend(channel="web")

    assert [item["mandatory"] for item in decision["decisions"]] == [True, False, False, False]


async def test_propensity_follows_from_the_answers_of_all_customers(shop: Shop) -> None:
    await shop.flow("learning", {"type": "score", "config": {"method": "propensity"}})

    async def answer(number: int, creative: str, outcome: str) -> None:
        response = await shop.respond(f"{number}", customerId=f"c{number}", creativeId=creative, outcome=outcome)
        assert response.status_code == 201, response.text

    async def propensities() -> dict[str, float]:
        decision = await shop.recommend(decisionFlowKey="learning")
        return {item["offerKey"]: item["propensity"] for item in decision["decisions"]}

    unknown = await propensities()
    for number, outcome in enumerate(["accept"] * 6 + ["dismiss"] * 2 + ["deferred", "impression"]):
        await answer(number, "gold-mail", outcome)
    young = await propensities()
    await asyncio.gather(*(answer(100 + number, "silver-web", "accept") for number in range(45)))
    await asyncio.gather(*(answer(200 + number, "silver-mail", "not_interested") for number in range(15)))
    mature = await propensities()

    assert unknown == {"gold": 0.5, "silver": 0.5, "bronze": 0.5}
    assert young == pytest.approx({"gold": 11 / 18, "silver": 0.5, "bronze": 0.5})
    prior = 51 / 68
    assert mature == pytest.approx({"silver": 0.75, "gold": (6 + 10 * prior) / 18, "bronze": prior})
