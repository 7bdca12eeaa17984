"""Many at once, over two instances of the application on one database: nothing is counted twice, nothing is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kaireon_application.decisioning.facts import attributes_key, history_key
from kaireon_application.decisioning.snapshots import POLL_SECONDS
from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.api.shop import Shop

AT_ONCE = 20


async def test_a_cap_is_filled_exactly_by_simultaneous_decisions(shop: Shop, second: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 3})
    await shop.recommend("somebody else")  # both know the flow and the policy from here on
    await second.recommend("somebody else again")
    before = await shop.counts()

    answers = await asyncio.gather(*(one.recommend(channel="web", limit=1) for one in (shop, second) * (AT_ONCE // 2)))

    after = await shop.counts()
    history = await shop.get("interaction-history", customerId="c1", type="impression")
    shown = [item["offerKey"] for answer in answers for item in answer["decisions"]]
    assert shown == ["gold"] * 3
    assert history["pagination"]["total"] == 3
    assert after["decision_traces"] == before["decision_traces"] + AT_ONCE
    assert after["outbox_events"] == before["outbox_events"] + AT_ONCE + 3
    events = [event for event in await shop.events() if event.customer_id == "c1" and hasattr(event, "sequence")]
    assert [event.sequence for event in events] == [1, 2, 3]


async def test_decisions_of_several_customers_go_side_by_side(shop: Shop, second: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 2})
    customers = [f"c{number % 5}" for number in range(60)]

    await asyncio.gather(
        *(
            (shop, second)[number % 2].recommend(customer, channel="web", limit=2)
            for number, customer in enumerate(customers)
        )
    )

    rows = await shop.rows(
        "SELECT customer_id, count(*) AS shown FROM interactions WHERE tenant_id = %(tenant_id)s"
        " AND kind = 'impression' GROUP BY customer_id"
    )
    assert {row["customer_id"]: row["shown"] for row in rows} == {f"c{number}": 2 for number in range(5)}
    assert (await shop.counts())["decision_traces"] == len(customers)


async def test_responses_and_decisions_of_one_customer_interleave(shop: Shop, second: Shop) -> None:
    await shop.policy("frequency_cap", {"maxTotal": 1000})
    decisions = [one.recommend(channel="web", limit=1) for one in (shop, second) * 5]
    responses = [
        one.respond(f"k{number}", creativeId="gold-web", outcome="impression")
        for number, one in enumerate((shop, second) * 5)
    ]

    _, answers = await asyncio.gather(asyncio.gather(*decisions), asyncio.gather(*responses))

    assert all(answer.status_code == 201 for answer in answers)
    events = [event for event in await shop.events() if hasattr(event, "sequence")]
    assert [event.sequence for event in events] == list(range(1, 21))
    alltime = await shop.get("interaction-summaries", customerId="c1", periodType="alltime")
    assert sum(row["impressions"] for row in alltime["data"]) == 20


async def test_one_key_makes_simultaneous_decisions_one(shop: Shop, second: Shop) -> None:
    body = {"customerId": "c1", "channel": "web"}

    async def ask(one: Shop, customer_id: str) -> tuple[int, bytes]:
        answer = await one.api.viewer.post(
            "/api/v1/recommend", json={**body, "customerId": customer_id}, headers={"Idempotency-Key": customer_id}
        )
        return answer.status_code, answer.content

    answers = await asyncio.gather(*(ask(one, "c1") for one in (shop, second) * 4))

    assert {status for status, _ in answers} == {200}
    assert len({content for _, content in answers}) == 1
    assert (await shop.counts())["decision_traces"] == 1
    # A commit that was refused leaves its connection fit for the next.
    for number in range(20):
        assert (await ask((shop, second)[number % 2], f"next{number}"))[0] == 200
        assert (await shop.respond(f"next{number}", creativeId="gold-web")).status_code == 201


async def test_a_cached_history_never_breaks_a_cap(shop: Shop, second: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 3})
    for one in (shop, second, shop):
        assert (await one.recommend(channel="web", limit=1))["count"] == 1
    await stored(shop, second)
    stale = await cached(shop)
    assert (await second.recommend(channel="web", limit=1))["count"] == 0
    await shop.run("DELETE FROM interactions WHERE tenant_id = %(tenant_id)s AND kind = 'impression'")
    await shop.run("UPDATE customers SET version = version + 1 WHERE tenant_id = %(tenant_id)s")
    assert (await shop.recommend(channel="web", limit=1))["count"] == 1, "what Postgres says is what counts"

    await stored(shop, second)
    for key, value in stale.items():
        await shop.api.app.services.redis.set(key, value)
    counted = [(await one.recommend(channel="web", limit=1))["count"] for one in (shop, second) * 2]

    assert counted == [1, 1, 0, 0]


async def stored(*shops: Shop) -> None:
    """Wait until Redis holds what these instances have remembered: they write it in the background."""
    for shop in shops:
        await shop.api.app.services.engine.cache.drain()


async def cached(shop: Shop) -> dict[str, bytes]:
    """Return what is cached of the customer."""
    redis = shop.api.app.services.redis
    found: dict[str, bytes] = {}
    for key in (history_key(str(shop.tenant_id), "c1"), attributes_key(str(shop.tenant_id), "c1")):
        value = await redis.get(key)
        assert isinstance(value, bytes), key
        found[key] = value
    return found


def test_processes_look_for_writes_twice_in_the_second_that_they_have() -> None:
    assert POLL_SECONDS <= 0.5


async def test_a_write_is_seen_by_another_instance(shop: Shop, second: Shop) -> None:
    assert len((await second.recommend(channel="email"))["decisions"]) == 3

    answer = await shop.api.editor.put("/api/v1/offers/gold", json={"status": "paused"})
    assert answer.status_code == 200
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await second.recommend(channel="email"))["decisions"][0]["offerKey"] != "silver":
            await asyncio.sleep(0.02)
    await shop.policy("frequency_cap", {"maxTotal": 1})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await second.recommend(channel="email"))["count"] != 1:
            await asyncio.sleep(0.02)


async def test_the_first_decisions_of_a_tenant_publish_one_base_flow(shop: Shop, second: Shop) -> None:
    answers = await asyncio.gather(*(one.recommend(f"c{n}") for n, one in enumerate((shop, second) * 5)))

    assert {answer["meta"]["decisionFlowKey"] for answer in answers} == {"base-nba-flow"}
    assert (await shop.get("decision-flows"))["pagination"]["total"] == 1
