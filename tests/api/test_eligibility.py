"""Eligibility: every offer for a customer, with what each rule and policy says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.shop import Shop


async def ask(shop: Shop, customer: str = "c1", **parameters: Any) -> dict[str, Any]:
    return await shop.get(f"customers/{customer}/eligibility", **parameters)


def by_key(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {offer["offerKey"]: offer for offer in answer["offers"]}


async def test_every_offer_is_accounted_for(shop: Shop) -> None:
    rule = {"ruleType": "segment_required", "config": {"requiredSegments": ["vip"]}}
    await shop.create("qualification-rules", name="vip only", scope="offer", scopeId="gold", **rule)
    await shop.policy("cooldown", {"cooldownHours": 24}, name="rest", scope="offer", scopeId="silver")
    await shop.create("offers", name="Later", key="later", status="active", schedule={"startDate": "2199-01-01"})
    shown = await shop.recommend(channel="web", limit=1)
    assert [item["offerKey"] for item in shown["decisions"]] == ["silver"]
    before = await shop.counts()

    answer = await ask(shop, channel="web")
    offers = by_key(answer)

    assert await shop.counts() == before
    assert answer["summary"] == {
        "totalOffers": 4,
        "eligibleCount": 1,
        "ineligibleCount": 3,
        "failedQualification": 1,
        "blockedByContactPolicy": 1,
        "blockedBySchedule": 1,
        "noCreatives": 1,
    }
    gold, silver, bronze, later = (offers[key] for key in ("gold", "silver", "bronze", "later"))
    assert (gold["eligible"], gold["primaryReason"], gold["qualificationPassed"]) == (False, "Failed: vip only", False)
    assert [(one["ruleName"], one["eligible"], one["scope"]) for one in gold["failedRules"]] == [
        ("vip only", False, "offer")
    ]
    assert (silver["contactPolicyBlocked"], silver["score"]) == (True, None)
    assert [one["policyName"] for one in silver["blockedPolicies"]] == ["rest"]
    assert (bronze["eligible"], bronze["primaryReason"], bronze["rank"]) == (True, "All rules passed", 1)
    assert (bronze["score"], bronze["hasCreatives"], bronze["creativeCount"]) == (0.3, True, 2)
    assert (later["scheduleBlocked"], later["hasCreatives"], later["creativeCount"]) == (True, False, 0)


async def test_it_agrees_with_why_not(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 1}, scope="channel", scopeId="web")
    await shop.recommend(channel="web", limit=1)

    for parameters in ({"channel": "web"}, {"channel": "email"}, {}):
        for key, offer in by_key(await ask(shop, **parameters)).items():
            why = await shop.get(f"customers/c1/why-not/{key}", **parameters)
            assert (why["verdict"] == "eligible", why["score"], why["rank"]) == (
                offer["eligible"],
                offer["score"],
                offer["rank"],
            )
            # A policy of another channel blocks no offer on this one, nor one that goes out on either.
            assert offer["contactPolicyBlocked"] is not offer["eligible"]


async def test_an_unknown_flow_is_404_and_an_unknown_customer_is_not(shop: Shop) -> None:
    unknown = await shop.api.viewer.get("/api/v1/customers/c1/eligibility", params={"decisionFlowKey": "gone"})

    assert unknown.status_code == 404
    assert (await ask(shop, "nobody yet"))["summary"]["eligibleCount"] == 3
