"""Deciding for a list: order, bounds, and whose fault a fault is."""

from __future__ import annotations

import asyncio

import pytest

from kaireon_application.decisioning.decide_list import DecideError, DecideRequest, DecideResult, decide_list
from kaireon_application.decisioning.wire import DecisionMeta, Recommendation, RecommendRequest
from kaireon_application.errors import NotFound, Unavailable


class Recommender:
    """Answers later customers sooner; refuses those named."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.running = 0
        self.most = 0

    async def __call__(self, request: RecommendRequest) -> Recommendation:
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(100 - int(request.customer_id[1:]) % 100):
            await asyncio.sleep(0)
        self.running -= 1
        if request.customer_id in self.refused:
            raise Unavailable
        return Recommendation(
            recommendation_id=f"rec_{request.customer_id}",
            customer_id=request.customer_id,
            count=0,
            decisions=[],
            meta=DecisionMeta(decision_flow_key="flow", decision_flow_id="id"),
        )


def _requests(count: int) -> list[RecommendRequest]:
    return DecideRequest(customer_ids=[f"c{number}" for number in range(count)]).requests()


async def test_results_keep_the_order_and_few_run_at_once() -> None:
    recommend = Recommender()

    found = [one async for one in decide_list(recommend, _requests(300))]

    assert [one.customer_id for one in found] == [f"c{number}" for number in range(300)]
    assert 1 < recommend.most <= 64


async def test_one_customers_fault_is_their_own() -> None:
    found = [one async for one in decide_list(Recommender("c1"), _requests(3))]

    assert [type(one) for one in found] == [DecideResult, DecideError, DecideResult]
    assert found[1] == DecideError(customer_id="c1", code="UNAVAILABLE", message=Unavailable().message)


async def test_what_fails_at_the_first_is_everybodys_fault() -> None:
    async def unknown_flow(_request: RecommendRequest) -> Recommendation:
        raise NotFound

    with pytest.raises(NotFound):
        await anext(decide_list(unknown_flow, _requests(200)))


async def test_who_stops_listening_stops_the_rest() -> None:
    recommend = Recommender()
    found = decide_list(recommend, _requests(200))
    await anext(found)

    await found.aclose()

    assert len(asyncio.all_tasks()) == 1


def test_a_customer_is_decided_once_in_the_order_of_first_mention() -> None:
    requests = DecideRequest(customer_ids=["b", "a", "b"], limit=2).requests()

    assert [(one.customer_id, one.limit) for one in requests] == [("b", 2), ("a", 2)]
