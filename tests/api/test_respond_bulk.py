"""Many responses in one call: each stands for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from tests.api.shop import Shop


async def send(shop: Shop, *outcomes: dict[str, Any]) -> httpx.Response:
    items = [{"customerId": "c1", "outcome": "click", **outcome} for outcome in outcomes]
    return await shop.api.editor.post("/api/v1/respond/bulk", json={"outcomes": items})


async def test_each_item_says_what_became_of_it(shop: Shop) -> None:
    first = await shop.respond("k1", offerId="gold")
    before = await shop.counts()

    answer = await send(
        shop,
        {"offerId": "gold"},
        {"offerId": "gold", "idempotencyKey": "k1"},
        {"offerId": "gold", "idempotencyKey": "k1", "outcome": "accept"},
        {"offerId": "no-such-offer"},
        {"offerId": "gold", "outcome": "frowned"},
        {"offerId": "gold", "timestamp": "tomorrow"},
        {"creativeId": "silver-mail"},
    )

    body = answer.json()
    assert answer.status_code == 200, answer.text
    assert (body["processed"], body["succeeded"], body["failed"]) == (7, 3, 4)
    statuses = [result["status"] for result in body["results"]]
    assert statuses == ["recorded", "replayed", "failed", "failed", "failed", "failed", "recorded"]
    assert [result["index"] for result in body["results"]] == list(range(7))
    assert body["results"][1]["interactionId"] == first.json()["interactionId"]
    assert [(error["index"], error["code"]) for error in body["errors"]] == [
        (2, "IDEMPOTENCY_MISMATCH"),
        (3, "NOT_FOUND"),
        (4, "BAD_REQUEST"),
        (5, "BAD_REQUEST"),
    ]
    assert all(error["error"] for error in body["errors"])
    assert (await shop.counts())["outbox_events"] == before["outbox_events"] + 2


async def test_all_failed_is_422_and_nothing_is_written(shop: Shop) -> None:
    before = await shop.counts()

    answer = await send(shop, {"offerId": "no-such-offer"}, {"offerId": "gold", "outcome": "frowned"})

    assert answer.status_code == 422
    assert (answer.json()["succeeded"], answer.json()["failed"]) == (0, 2)
    assert await shop.counts() == before


async def test_a_repeated_key_inside_one_call_is_recorded_once(shop: Shop) -> None:
    item = {"offerId": "gold", "idempotencyKey": "same"}

    answer = await send(shop, item, item, {**item, "outcome": "accept"})

    assert sorted(result["status"] for result in answer.json()["results"]) == ["failed", "recorded", "replayed"]
    assert (await shop.counts())["interactions"] == 1


async def test_an_item_may_answer_a_recommendation(shop: Shop) -> None:
    decision = await shop.recommend(channel="email")

    answer = await send(shop, {"recommendationId": decision["recommendationId"], "rank": 2})

    assert answer.status_code == 200, answer.text
    history = await shop.get("interaction-history", customerId="c1", type="click")
    assert [row["offer"]["name"] for row in history["data"]] == ["silver"]


async def test_a_large_call_is_counted_exactly_and_in_order(shop: Shop) -> None:
    outcomes = [{"offerId": "gold", "customerId": f"c{number % 7}", "conversionValue": 1.5} for number in range(300)]

    answer = await send(shop, *outcomes)

    assert answer.json()["succeeded"] == 300
    rows = await shop.rows(
        "SELECT sum(positive) AS positive, sum(total_value) AS value FROM interaction_summaries"
        " WHERE tenant_id = %(tenant_id)s AND period_type = 'alltime'"
    )
    assert rows == [{"positive": 300, "value": 450.0}]
    by_customer: dict[str, list[int]] = {}
    for event in await shop.events():
        by_customer.setdefault(event.customer_id, []).append(event.sequence)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_customer.values())


# What is wrong with the call as a whole, and the path that the message names.
WRONG: tuple[tuple[Any, str], ...] = (
    ({"outcomes": []}, "$.outcomes"),
    ({"outcomes": [{"customerId": "c1", "offerId": "gold", "outcome": "click"}] * 1001}, "$.outcomes"),
    ({}, "$.outcomes"),
    ({"outcomes": [{"offerId": "gold", "outcome": "click"}]}, "$.outcomes[0].customerId"),
    ({"outcomes": [{"customerId": "c1", "outcome": "click"}]}, "$.outcomes[0].offerId"),
    ({"outcomes": [{"customerId": "c1", "offerId": "", "outcome": "click"}]}, "$.outcomes[0].offerId"),
    ({"outcomes": [{"customerId": "c1", "offerId": "gold"}]}, "$.outcomes[0].outcome"),
    ({"outcomes": [{"customerId": "c1", "offerId": "gold", "outcome": "click", "x": 1}]}, "$.outcomes[0].x"),
    (
        {"outcomes": [{"customerId": "c1", "offerId": "gold", "outcome": "click", "direction": "up"}]},
        "$.outcomes[0].direction",
    ),
)


async def test_a_wrong_call_is_refused_whole(shop: Shop) -> None:
    before = await shop.counts()

    for body, path in WRONG:
        answer = await shop.api.editor.post("/api/v1/respond/bulk", json=body)
        assert answer.status_code == 400, (path, answer.text)
        assert path in [problem["path"] for problem in answer.json()["error"]["details"]], answer.text

    assert await shop.counts() == before
