"""Deciding for a list: the same answers and the same traces as /recommend, customer by customer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from tests.api.shop import Shop

PATH = "/api/v1/decide"


async def ask(shop: Shop, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await shop.api.viewer.post(PATH, json=body, headers=headers)


async def decide(shop: Shop, **body: Any) -> dict[str, Any]:
    answer = await ask(shop, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def offers(result: dict[str, Any]) -> list[tuple[str, float]]:
    return [(item["offerKey"], item["score"]) for item in result["decisions"]]


async def test_each_customer_gets_what_recommend_would_answer(shop: Shop) -> None:
    await shop.create(
        "qualification-rules",
        name="gold only",
        ruleType="attribute_condition",
        config={"attribute": "tier", "operator": "eq", "value": "gold"},
        scope="offer",
        scopeId="gold",
    )
    customers: list[dict[str, Any]] = [
        {"customerId": "c1", "attributes": {"tier": "gold"}},
        {"customerId": "c2", "attributes": {"tier": "none"}, "context": {"page": "home"}, "segments": ["new"]},
        {"customerId": "c3"},
    ]

    answer = await decide(shop, customers=customers, channel="email", limit=2)
    single = [await shop.recommend(one["customerId"], **one, channel="email", limit=2) for one in customers]

    assert (answer["count"], answer["errors"]) == (3, [])
    assert [result["customerId"] for result in answer["results"]] == ["c1", "c2", "c3"]
    assert list(map(offers, answer["results"])) == list(map(offers, single))
    assert offers(answer["results"][0]) != offers(answer["results"][1])
    assert answer["results"][0].keys() == {"customerId", "recommendationId", "decisions", "experimentAssignment"}


async def test_a_list_leaves_behind_what_single_decisions_would(shop: Shop) -> None:
    before = await shop.counts()

    answer = await decide(shop, customerIds=["a", "b", "a", "c"], channel="web", limit=2)

    assert [result["customerId"] for result in answer["results"]] == ["a", "b", "c"]
    after = await shop.counts()
    assert after["decision_traces"] - before["decision_traces"] == 3
    assert after["interactions"] - before["interactions"] == 6
    assert after["outbox_events"] - before["outbox_events"] == 3 + 6
    for result in answer["results"]:
        trace = await shop.get(f"decision-traces/{result['recommendationId']}")
        assert trace["customerId"] == result["customerId"]
    click = await shop.respond("k1", customerId="b", recommendationId=answer["results"][1]["recommendationId"], rank=1)
    assert click.status_code == 201


async def test_lines_come_in_order_each_a_result(shop: Shop) -> None:
    ids = [f"c{number}" for number in range(200)]

    answer = await ask(shop, {"Accept": "application/x-ndjson"}, customerIds=ids, channel="email", limit=1)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["customerId"] for line in lines] == ids
    assert all(offers(line) == [("gold", 0.9)] for line in lines)


async def test_a_cap_holds_between_lists_and_single_decisions(shop: Shop, second: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 3})

    answers = await asyncio.gather(
        *(decide(one, customerIds=["c1", "c2"], channel="web", limit=1) for one in (shop, second) * 5),
        *(one.recommend("c1", channel="web", limit=1) for one in (shop, second) * 5),
    )

    shown = [result for answer in answers for result in answer.get("results", [answer])]
    for customer in ("c1", "c2"):
        assert sum(len(one["decisions"]) for one in shown if one["customerId"] == customer) == 3
        history = await shop.get("interaction-history", customerId=customer, type="impression")
        assert history["pagination"]["total"] == 3


async def test_a_wrong_list_is_refused_and_nothing_is_written(shop: Shop) -> None:
    before = await shop.counts()
    wrong: dict[str, tuple[dict[str, Any], int, str]] = {
        "neither": ({}, 400, "$.customers"),
        "both": ({"customers": [{"customerId": "a"}], "customerIds": ["a"]}, 400, "$.customers"),
        "none": ({"customerIds": []}, 400, "$.customerIds"),
        "too many": ({"customerIds": ["c"] * 1_000_001}, 400, "$.customerIds"),
        "an empty id": ({"customerIds": ["a", ""]}, 400, "$.customerIds[1]"),
        "an unknown field": ({"customers": [{"customerId": "a", "age": 1}]}, 400, "$.customers[0].age"),
        "a wrong limit": ({"customerIds": ["a"], "limit": 51}, 400, "$.limit"),
        "an unknown flow": ({"customerIds": ["a", "b"], "decisionFlowKey": "gone"}, 404, ""),
    }

    for name, (body, status, path) in wrong.items():
        answer = await ask(shop, **body)
        assert answer.status_code == status, (name, answer.text)
        paths = [problem["path"] for problem in answer.json()["error"].get("details", [])]
        assert (path in paths) if path else True, (name, paths)

    assert (await shop.api.anonymous.post(PATH, json={"customerIds": ["a"]})).status_code == 401
    assert await shop.counts() == before
