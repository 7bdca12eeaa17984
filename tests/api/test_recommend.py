"""Deciding over HTTP: what is answered, what a decision leaves behind, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    import httpx

    from tests.api.shop import Shop

JSON = {"Content-Type": "application/json"}
ITEM_FIELDS = {
    "offerId",
    "offerKey",
    "offerName",
    "categoryId",
    "categoryName",
    "creativeId",
    "creativeName",
    "channelId",
    "channelName",
    "placementId",
    "content",
    "score",
    "rank",
    "propensity",
    "selectionProbability",
    "mandatory",
    "personalization",
}
STAGES = {
    "validation",
    "load",
    "enrichment",
    "qualification",
    "contactPolicy",
    "scoring",
    "ranking",
    "optimisation",
    "serialisation",
}


def keys(decision: dict[str, Any]) -> list[str]:
    return [item["offerKey"] for item in decision["decisions"]]


async def test_the_base_flow_decides_by_priority_when_nothing_is_published(shop: Shop) -> None:
    answer = await shop.recommend(channel="email", debug=True)

    assert keys(answer) == ["gold", "silver", "bronze"]
    assert [item["rank"] for item in answer["decisions"]] == [1, 2, 3]
    assert [item["score"] for item in answer["decisions"]] == [0.9, 0.6, 0.3]
    assert answer["count"] == 3
    assert answer["customerId"] == "c1"
    assert UUID(answer["recommendationId"].removeprefix("rec_")).version == 7
    assert answer["meta"]["decisionFlowKey"] == "base-nba-flow"
    assert "degradedScoring" not in answer
    assert answer["experimentAssignment"] is None


async def test_an_item_has_every_documented_field(shop: Shop) -> None:
    bare = await shop.create("offers", name="Bare", key="bare", status="active", priority=100)
    item, gold = (await shop.recommend(channel="email", limit=2))["decisions"]

    assert item.keys() == gold.keys() == ITEM_FIELDS
    assert item["offerId"] == bare["id"]
    absent = ITEM_FIELDS - {"offerId", "offerKey", "offerName", "score", "rank", "selectionProbability", "mandatory"}
    assert {name for name in absent if item[name] is not None} == {"personalization"}
    assert (gold["creativeName"], gold["channelName"]) == ("gold-mail", "Mail")
    assert gold["content"] == {"headline": "gold"}
    assert (gold["propensity"], gold["selectionProbability"], gold["mandatory"]) == (None, 1.0, False)


async def test_debug_shows_the_funnel_and_the_times(shop: Shop) -> None:
    meta = (await shop.recommend(channel="email", debug=True))["meta"]
    plain = (await shop.recommend(channel="email"))["meta"]

    assert meta["funnel"][0] == {"stage": "inventory", "in": 6, "out": 6}
    assert all(before["out"] == after["in"] for before, after in zip(meta["funnel"], meta["funnel"][1:], strict=False))
    assert meta["funnel"][-1]["out"] == 3
    assert meta["stagesMs"].keys() == STAGES
    assert min(meta["stagesMs"][stage] for stage in STAGES - {"enrichment", "optimisation"}) > 0
    assert (meta["flowVersion"], bool(meta["snapshotVersion"])) == (1, True)
    assert plain.keys() == {"decisionFlowKey", "decisionFlowId"}


async def test_a_decision_leaves_its_rows_events_and_trace(shop: Shop) -> None:
    decision = await shop.recommend(channel="web", limit=2)

    counts = await shop.counts()
    made, *recorded = await shop.events()
    assert counts == {
        "customers": 1,
        "interactions": 2,
        "interaction_summaries": 4,
        "suppressions": 0,
        "decision_traces": 1,
        "idempotency_keys": 0,
        "outbox_events": 3,
    }
    assert made.recommendation_id == decision["recommendationId"]
    assert (made.offers_returned, made.top_offer_id) == (2, decision["decisions"][0]["offerId"])
    assert made.snapshot_version
    chosen = [(one.offer_id, one.creative_id, one.rank, one.score) for one in made.decisions]
    assert chosen == [
        (item["offerId"], item["creativeId"], item["rank"], item["score"]) for item in decision["decisions"]
    ]
    assert [(one.rank, one.sequence, one.outcome_type_key, one.direction) for one in recorded] == [
        (1, 1, "impression", "outbound"),
        (2, 2, "impression", "outbound"),
    ]
    assert {one.recommendation_id for one in recorded} == {decision["recommendationId"]}


async def test_an_explicit_channel_records_no_impressions(shop: Shop) -> None:
    await shop.recommend(channel="email")

    counts = await shop.counts()
    assert (counts["interactions"], counts["interaction_summaries"], counts["outbox_events"]) == (0, 0, 1)


async def test_an_empty_decision_is_a_decision(shop: Shop) -> None:
    answer = await shop.recommend(excludeOffers=["gold", "silver", "bronze"])

    counts = await shop.counts()
    (made,) = await shop.events()
    assert (answer["count"], answer["decisions"]) == (0, [])
    assert (counts["interactions"], counts["decision_traces"], counts["outbox_events"]) == (0, 1, 1)
    assert (made.offers_returned, made.top_offer_id, made.decisions) == (0, None, ())


async def test_a_tenant_without_any_offer_gets_an_empty_answer(other_shop: Shop) -> None:
    for name in ("gold", "silver", "bronze"):
        assert (await other_shop.api.editor.delete(f"/api/v1/offers/{name}")).status_code == 204

    assert (await other_shop.recommend(debug=True))["count"] == 0


async def test_each_call_is_a_new_decision_unless_a_key_makes_it_the_same(shop: Shop) -> None:
    body = {"customerId": "c1", "channel": "web"}
    header = {"Idempotency-Key": "r1"}

    first = await shop.api.viewer.post("/api/v1/recommend", json=body, headers=header)
    again = await shop.api.viewer.post("/api/v1/recommend", json=body, headers=header)
    other = await shop.api.viewer.post("/api/v1/recommend", json={**body, "limit": 1}, headers=header)
    before = await shop.counts()

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert (before["decision_traces"], before["interactions"]) == (1, 3)
    assert (await shop.recommend())["recommendationId"] != (await shop.recommend())["recommendationId"]


async def test_an_unknown_customer_is_decided_without_attributes(shop: Shop) -> None:
    rule = {"attribute": "age", "operator": "gte", "value": 18}
    await shop.create("qualification-rules", name="adult", ruleType="attribute_condition", config=rule)

    assert keys(await shop.recommend("nobody ever heard of", channel="email")) == ["gold", "silver", "bronze"]


async def test_request_attributes_and_exclusions_count(shop: Shop) -> None:
    rule = {"attribute": "age", "operator": "gte", "value": 18}
    scope = {"scope": "offer", "scopeId": "gold"}
    await shop.create("qualification-rules", name="adult", ruleType="attribute_condition", config=rule, **scope)

    assert keys(await shop.recommend(channel="email", attributes={"age": 17})) == ["silver", "bronze"]
    assert keys(await shop.recommend(channel="email", attributes={"age": 18})) == ["gold", "silver", "bronze"]
    excluded = await shop.recommend(channel="email", excludeOffers=["gold"], excludeCreatives=["silver-mail"])
    assert "gold" not in keys(excluded)
    assert "silver-mail" not in [item["creativeName"] for item in excluded["decisions"]]


async def test_an_unknown_channel_or_placement_is_no_error(shop: Shop) -> None:
    for where in ({"channel": "carrier pigeon"}, {"channelId": "nowhere"}, {"placement": "nowhere"}):
        answer = await shop.recommend(**where)
        assert {item["channelId"] for item in answer["decisions"]} <= {None}


async def test_an_anonymous_customer_is_known_by_session(shop: Shop) -> None:
    one, same, other = [
        (await shop.recommend("anonymous", sessionId=session))["customerId"] for session in ("s1", "s1", "s2")
    ]

    assert one == same != other
    assert one not in {"anonymous", "s1"}
    assert (await shop.recommend("anonymous"))["customerId"] == (await shop.recommend("anonymous"))["customerId"]


async def test_caps_skip_to_the_next_offer_and_never_fail(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 1}, scope="offer", scopeId="gold")
    await shop.policy("frequency_cap", {"maxPerDay": 3})

    first = await shop.recommend(channel="web", limit=2)
    second = await shop.recommend(channel="web", limit=2)
    third = await shop.recommend(channel="web", limit=2)

    assert keys(first) == ["gold", "silver"]
    assert keys(second) == ["silver"]
    assert (third["count"], third["decisions"]) == (0, [])


async def test_a_cap_holds_back_explicit_channels_too(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 2})

    assert keys(await shop.recommend(channel="email", limit=3)) == ["gold", "silver"]
    assert keys(await shop.recommend(channel="email", limit=3)) == ["gold", "silver"]


async def test_an_impression_starts_a_cooldown(shop: Shop) -> None:
    await shop.policy("cooldown", {"cooldownHours": 24, "perOffer": True})

    assert keys(await shop.recommend(channel="web", limit=1)) == ["gold"]
    assert keys(await shop.recommend(channel="web", limit=1)) == ["silver"]


# Every wrong body, and what the message must name.
WRONG_BODIES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"customerId": "c", "colour": "red"}, "$.colour"),
    "wrong type": ({"customerId": 7}, "$.customerId"),
    "missing customer": ({"limit": 3}, "$.customerId"),
    "null customer": ({"customerId": None}, "$.customerId"),
    "empty customer": ({"customerId": ""}, "$.customerId"),
    "long customer": ({"customerId": "x" * 256}, "$.customerId"),
    "limit 0": ({"customerId": "c", "limit": 0}, "$.limit"),
    "limit 51": ({"customerId": "c", "limit": 51}, "$.limit"),
    "limit text": ({"customerId": "c", "limit": "3"}, "$.limit"),
    "limit true": ({"customerId": "c", "limit": True}, "$.limit"),
    "limit 1.5": ({"customerId": "c", "limit": 1.5}, "$.limit"),
    "session": ({"customerId": "c", "sessionId": "a b"}, "$.sessionId"),
    "context": ({"customerId": "c", "context": []}, "$.context"),
    "segments": ({"customerId": "c", "segments": ["a", 7]}, "$.segments[1]"),
    "attributes": ({"customerId": "c", "attributes": "age=7"}, "$.attributes"),
    "zero character": ({"customerId": "a\0b"}, "$.customerId"),
    "zero character inside": ({"customerId": "c", "context": {"a": ["\0"]}}, "$.context.a[0]"),
    "huge integer": ({"customerId": "c", "attributes": {"n": 2**53 + 1}}, "$.attributes.n"),
}
WRONG_BYTES = {
    "no JSON": b"{",
    "empty": b"",
    "not UTF-8": b'{"customerId": "\xff"}',
    "lone surrogate": rb'{"customerId": "\ud800"}',
    "NaN": b'{"customerId": "c", "attributes": {"n": NaN}}',
    "Infinity": b'{"customerId": "c", "attributes": {"n": -Infinity}}',
    "beyond a double": b'{"customerId": "c", "attributes": {"n": 1e999}}',
    "too deep": b'{"customerId": "c", "context": {"a": ' + b"[" * 70 + b"]" * 70 + b"}}",
    "a list": b"[]",
    "two values": b'{"customerId": "c"} {}',
}


async def test_a_wrong_body_is_refused_with_every_problem_and_nothing_is_written(shop: Shop) -> None:
    await shop.recommend()
    before = await shop.counts()

    for name, (body, path) in WRONG_BODIES.items():
        answer = await shop.api.viewer.post("/api/v1/recommend", content=json.dumps(body), headers=JSON)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "BAD_REQUEST"), name
        assert path in [problem["path"] for problem in error["details"]], name
        assert path.removeprefix("$.") in error["message"], name
        assert error["requestId"] == answer.headers["x-request-id"], name
    for name, content in WRONG_BYTES.items():
        answer = await shop.api.viewer.post("/api/v1/recommend", content=content, headers=JSON)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST"), name
    several = await shop.api.viewer.post("/api/v1/recommend", json={"limit": 0, "debug": "yes"})
    assert {one["path"] for one in several.json()["error"]["details"]} == {"$.customerId", "$.limit", "$.debug"}

    assert await shop.counts() == before


async def test_what_is_wrong_with_the_call_is_said_by_its_status(shop: Shop, other_shop: Shop) -> None:
    await shop.recommend()
    flow = await other_shop.flow("theirs", {"type": "rank", "config": {"method": "topN"}})
    before = await shop.counts()
    post, path, body = shop.api.viewer.post, "/api/v1/recommend", {"customerId": "c1"}

    refused = {
        "NOT_FOUND": await post(path, json={**body, "decisionFlowKey": "no-such-flow"}),
        "PAYLOAD_TOO_LARGE": await post(path, json={**body, "context": {"text": "x" * 2 * 1024 * 1024}}),
        "UNSUPPORTED_MEDIA_TYPE": await post(path, content=b"{}", headers={"Content-Type": "text/plain"}),
        "UNAUTHORIZED": await shop.api.anonymous.post(path, json=body),
        "FORBIDDEN": await post(path, json=body, headers={"X-Tenant-Id": "globex"}),
        "METHOD_NOT_ALLOWED": await shop.api.viewer.get(path),
    }
    foreign = [await post(path, json={**body, "decisionFlowKey": name}) for name in ("theirs", flow["id"])]

    statuses = {code: answer.status_code for code, answer in refused.items()}
    assert statuses == {
        "NOT_FOUND": 404,
        "PAYLOAD_TOO_LARGE": 413,
        "UNSUPPORTED_MEDIA_TYPE": 415,
        "UNAUTHORIZED": 401,
        "FORBIDDEN": 403,
        "METHOD_NOT_ALLOWED": 405,
    }
    assert {code: answer.json()["error"]["code"] for code, answer in refused.items()} == {
        code: code for code in refused
    }
    assert refused["NOT_FOUND"].json()["error"]["details"][0]["path"] == "$.decisionFlowKey"
    assert [answer.status_code for answer in foreign] == [404, 404]
    assert await shop.counts() == before


async def test_a_viewer_decides_but_does_not_write(shop: Shop) -> None:
    await shop.recommend()
    before = await shop.counts()

    for path in ("respond", "capture", "respond/bulk", "decision-flows", "decision-flows/publish", "flow-routes"):
        answer = await shop.api.viewer.post(f"/api/v1/{path}", content=b"{", headers=JSON)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN"), path

    assert await shop.counts() == before


async def test_a_revoked_key_decides_nothing_in_any_process(shop: Shop, second: Shop) -> None:
    created = await shop.create("api-keys", name="short-lived", role="viewer")
    async with shop.api.with_key(created["key"]) as client, second.api.with_key(created["key"]) as elsewhere:
        for one in (client, elsewhere):
            assert (await one.post("/api/v1/recommend", json={"customerId": "c1"})).status_code == 200
        assert (await shop.api.admin.delete(f"/api/v1/api-keys/{created['id']}")).status_code == 204
        for one in (client, elsewhere):
            await refused_soon(one)


async def refused_soon(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.post("/api/v1/recommend", json={"customerId": "c1"})).status_code != 401:
            await asyncio.sleep(0.02)


async def test_the_tenants_settings_bound_and_sample(shop: Shop) -> None:
    answer = await shop.api.admin.put(
        "/api/v1/tenant-settings", json={"maxOffersPerDecision": 1, "decisionTraceEnabled": False}
    )
    assert answer.status_code == 200, answer.text

    decision = await shop.recommend(channel="email")

    counts = await shop.counts()
    assert keys(decision) == ["gold"]
    assert (counts["decision_traces"], counts["outbox_events"]) == (1, 1)
    assert (await shop.get("decision-traces"))["pagination"]["total"] == 0
