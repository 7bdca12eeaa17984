"""Decision traces: every candidate of a decision is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from tests.api.shop import Shop

RESULTS = ("inventoryResults", "qualificationResults", "contactPolicyResults", "rankingResults")


async def only_adults(shop: Shop) -> None:
    await shop.create(
        "qualification-rules",
        name="grown up",
        scope="offer",
        scopeId="gold",
        ruleType="attribute_condition",
        config={"attribute": "age", "operator": "gte", "value": 18},
    )


async def test_a_trace_accounts_for_every_candidate(shop: Shop) -> None:
    await only_adults(shop)
    decision = await shop.recommend(channel="email", limit=1, attributes={"age": 12}, context={"device": "phone"})

    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")

    assert [one["offerKey"] for one in trace["selectedOffers"]] == ["silver"]
    assert [(one["offerKey"], one["entityName"]) for one in trace["qualificationResults"]] == [("gold", "grown up")]
    assert trace["qualificationResults"][0]["reason"].startswith("not so: age gte 18")
    assert [one["offerKey"] for one in trace["rankingResults"]] == ["bronze"]
    dropped = sum(len(trace[name]) for name in RESULTS[:3])
    assert dropped + len(trace["scoringResults"]) == trace["candidateCount"] == 6
    assert trace["candidateCount"] >= trace["afterQualification"] >= trace["afterContactPolicy"] >= trace["finalCount"]
    assert trace["finalCount"] == 1
    assert trace["facts"]["context"] == {"device": "phone"}
    assert trace["facts"]["attributes"] == {"age": 12}


async def test_a_trace_lists_every_scored_candidate_whatever_the_limit(shop: Shop) -> None:
    decision = await shop.recommend(channel="email", limit=1)

    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")

    scored = [(one["offerKey"], one["rank"], one["score"]) for one in trace["scoringResults"]]
    assert scored == [("gold", 1, 0.9), ("silver", None, 0.6), ("bronze", None, 0.3)]
    assert all(one["shadowScores"] == {} for one in trace["scoringResults"])


async def test_a_cap_is_named_where_it_bit(shop: Shop) -> None:
    policy = await shop.policy("frequency_cap", {"maxPerDay": 1})
    first = await shop.recommend(channel="web")
    second = await shop.recommend(channel="web")

    filled = await shop.get(f"decision-traces/{first['recommendationId']}")
    capped = await shop.get(f"decision-traces/{second['recommendationId']}")

    assert [one["entityId"] for one in filled["rankingResults"]] == [policy["id"]] * 2
    assert [one["entityId"] for one in capped["contactPolicyResults"]] == [policy["id"]] * 3
    assert capped["contactPolicyResults"][0]["reason"].startswith("frequency_cap exceeded: 1/day at scope=global")


async def test_traces_are_found_by_customer_and_by_either_form_of_their_id(shop: Shop) -> None:
    one = await shop.recommend("one", channel="email")
    await shop.recommend("two")
    public = one["recommendationId"]

    listed = await shop.get("decision-traces", customerId="one")
    by_id = [await shop.get("decision-traces", **{name: public}) for name in ("recommendationId", "requestId")]

    assert listed["pagination"] == {"total": 1, "limit": 50, "hasMore": False, "nextCursor": None}
    row = listed["data"][0]
    assert by_id == [listed, listed]
    assert (row["recommendationId"], row["customerId"], row["result"]["count"]) == (public, "one", 3)
    assert row["result"]["topOffer"] == {"offerId": one["decisions"][0]["offerId"], "score": 0.9}
    assert (row["decisionFlowKey"], row["flowVersion"]) == ("base-nba-flow", 1)
    assert row["pipeline"][0]["stage"] == "inventory"
    detail = await shop.get(f"decision-traces/{public}")
    assert await shop.get(f"decision-traces/{public.removeprefix('rec_')}") == detail
    assert {name: detail[name] for name in row} == row


async def test_traces_are_paged_newest_first(shop: Shop) -> None:
    made = [(await shop.recommend("c1"))["recommendationId"] for _ in range(5)]

    found: list[str] = []
    page: dict[str, Any] = await shop.get("decision-traces", limit=2)
    while True:
        found += [row["recommendationId"] for row in page["data"]]
        if not page["pagination"]["hasMore"]:
            break
        page = await shop.get("decision-traces", limit=2, cursor=page["pagination"]["nextCursor"])
    skipped = await shop.get("decision-traces", limit=2, offset=3)

    assert sorted(found) == sorted(made)
    assert len(found) == 5
    assert [row["recommendationId"] for row in skipped["data"]] == found[3:]


async def test_a_trace_explains_with_the_catalogue_of_its_time(shop: Shop) -> None:
    decision = await shop.recommend(channel="email")
    before = await shop.get(f"decision-traces/{decision['recommendationId']}")

    await shop.api.editor.delete("/api/v1/offers/gold")
    await shop.api.editor.put("/api/v1/offers/silver", json={"name": "renamed"})

    assert await shop.get(f"decision-traces/{decision['recommendationId']}") == before


async def test_a_wrong_question_about_traces_is_refused(shop: Shop, other_shop: Shop) -> None:
    theirs = (await other_shop.recommend())["recommendationId"]
    get = shop.api.viewer.get

    for name in (theirs, f"rec_{uuid4()}", "nonsense"):
        answer = await get(f"/api/v1/decision-traces/{name}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND"), name
        assert (await shop.get("decision-traces", recommendationId=name))["data"] == []
    assert (await shop.get("decision-traces"))["data"] == []
    for wrong in ({"limit": 0}, {"limit": 201}, {"cursor": "?"}, {"offset": -1}):
        assert (await get("/api/v1/decision-traces", params=wrong)).status_code == 400, wrong
