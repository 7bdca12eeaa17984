"""Why (not): what every rule and policy says of an offer for a customer now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.shop import Shop


async def ask(shop: Shop, offer: str = "gold", customer: str = "c1", **parameters: Any) -> dict[str, Any]:
    return await shop.get(f"customers/{customer}/why-not/{offer}", **parameters)


async def test_the_blocking_rule_is_named(shop: Shop) -> None:
    rule = {"ruleType": "segment_required", "config": {"requiredSegments": ["vip"]}}
    await shop.create("qualification-rules", name="vip only", scope="offer", scopeId="gold", **rule)
    await shop.create("qualification-rules", name="vips like silver", scope="offer", scopeId="silver", **rule)

    blocked, eligible = await ask(shop), await ask(shop, segments="vip,other")

    assert (blocked["verdict"], blocked["summary"]) == ("blocked", "Blocked by qualification rule: vip only")
    assert (blocked["offerName"], blocked["offerStatus"], blocked["customerId"]) == ("gold", "active", "c1")
    counts = {name: blocked["qualification"][name] for name in ("total", "passed", "blocked", "skipped")}
    assert counts == {"total": 2, "passed": 0, "blocked": 1, "skipped": 1}
    results = {part["ruleName"]: (part["applies"], part["result"]) for part in blocked["qualification"]["details"]}
    assert results == {"vip only": (True, "blocked"), "vips like silver": (False, "skipped")}
    assert (eligible["verdict"], eligible["rank"], eligible["score"]) == ("eligible", 1, 0.9)


async def test_the_blocking_policy_is_named_as_soon_as_it_bites(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 1}, name="once a day")
    assert (await ask(shop, channel="web"))["verdict"] == "eligible"

    await shop.recommend(channel="web", limit=1)

    blocked = await ask(shop, channel="web")
    assert (blocked["verdict"], blocked["summary"]) == ("blocked", "Blocked by contact policy: once a day")
    assert blocked["contactPolicies"]["details"][0]["result"] == "blocked"
    assert (await ask(shop, customer="someone else", channel="web"))["verdict"] == "eligible"


async def test_an_offer_that_is_not_active_is_blocked_before_any_rule(shop: Shop) -> None:
    await shop.create("offers", name="later", key="later", status="draft")

    answer = await ask(shop, "later")

    assert (answer["verdict"], answer["offerStatus"], answer["stage"]) == ("blocked", "draft", "inventory")


async def test_asking_records_nothing(shop: Shop) -> None:
    await shop.recommend()
    before = await shop.counts()

    await ask(shop)

    assert await shop.counts() == before


async def test_an_unknown_offer_or_flow_is_404_and_an_unknown_customer_is_not(shop: Shop, other_shop: Shop) -> None:
    theirs = await other_shop.create("offers", name="theirs", key="theirs", status="active")

    for name in ("nobody", "theirs", theirs["id"]):
        answer = await shop.api.viewer.get(f"/api/v1/customers/c1/why-not/{name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    flowless = await shop.api.viewer.get("/api/v1/customers/c1/why-not/gold", params={"decisionFlowKey": "x"})
    assert flowless.status_code == 404
    assert (await ask(shop, customer="never seen before"))["verdict"] == "eligible"
