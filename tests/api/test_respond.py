"""Responses: recorded once per key, about what was recommended or a creative, and refused with a reason."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from kaireon_application.platform.identity import new_ids
from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.api.shop import Shop

JSON = {"Content-Type": "application/json"}


def ago(**parts: float) -> str:
    return (datetime.now(UTC) - timedelta(**parts)).isoformat()


async def target(shop: Shop, rank: int = 1) -> dict[str, Any]:
    """Return a body that answers a new recommendation."""
    decision = await shop.recommend(channel="email")
    return {"recommendationId": decision["recommendationId"], "rank": rank}


async def test_a_response_is_answered_with_what_it_is_about(shop: Shop) -> None:
    body = await target(shop, rank=2)

    answer = await shop.respond("k1", **body)

    assert answer.status_code == 201, answer.text
    expected = {
        "recommendationId": body["recommendationId"],
        "customerId": "c1",
        "outcome": "click",
        "classification": "positive",
        "rank": 2,
        "offerName": "silver",
        "creativeName": "silver-mail",
        "channelName": "Mail",
        "categoryName": None,
        "status": "recorded",
    }
    found = answer.json()
    assert {name: found[name] for name in expected} == expected
    assert found.keys() == {*expected, "interactionId", "timestamp"}
    assert "idempotent-replayed" not in answer.headers


async def test_a_response_leaves_one_row_of_each_and_one_event(shop: Shop) -> None:
    await shop.policy("cooldown", {"cooldownHours": 1, "perOffer": True})
    body = await target(shop)
    before = await shop.counts()

    answer = await shop.respond("k1", **body, outcome="impression", conversionValue=2.5)

    after = await shop.counts()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "interactions": 1,
        "interaction_summaries": 2,
        "suppressions": 1,
        "idempotency_keys": 1,
        "outbox_events": 1,
    }
    event = (await shop.events())[-1]
    assert str(event.interaction_id) == answer.json()["interactionId"]
    assert (event.rank, event.classification, event.direction, event.sequence) == (1, "neutral", "outbound", 1)
    assert (event.conversion_value, event.recommendation_id) == (2.5, body["recommendationId"])


async def test_a_repeated_key_counts_nothing_twice(shop: Shop) -> None:
    body = {"customerId": "c1", "outcome": "click", **await target(shop)}
    first = await shop.respond("k1", **body)
    before = await shop.counts()

    replays = [
        await shop.respond("k1", **body),
        await shop.api.editor.post("/api/v1/respond", json={**body, "idempotencyKey": "k1"}),
        await shop.api.editor.post("/api/v1/capture", json={"idempotencyKey": "k1", **body}),
        await shop.respond("k1", **dict(reversed(body.items()))),
    ]
    different = await shop.respond("k1", **{**body, "rank": 2})

    assert first.status_code == 201
    for replay in replays:
        assert (replay.status_code, replay.headers["idempotent-replayed"]) == (200, "true"), replay.text
        assert replay.content == first.content
    error = different.json()["error"]
    assert (different.status_code, error["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert "new key" in error["message"]
    assert await shop.counts() == before


async def test_a_key_belongs_to_its_tenant(shop: Shop, other_shop: Shop) -> None:
    for one in (shop, other_shop):
        assert (await one.respond("k1", creativeId="gold-web")).status_code == 201


async def test_two_at_once_with_one_key_record_once(shop: Shop, second: Shop) -> None:
    body = await target(shop)
    before = await shop.counts()

    answers = await asyncio.gather(*(one.respond("k1", **body) for one in (shop, second) * 4))

    after = await shop.counts()
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert after["interactions"] == before["interactions"] + 1
    assert after["outbox_events"] == before["outbox_events"] + 1


@pytest.mark.slow
async def test_a_key_whose_first_use_never_ends_is_a_conflict_to_retry(shop: Shop) -> None:
    body = await target(shop)
    async with shop.database.transaction(shop.tenant_id) as connection:
        await connection.execute(
            "INSERT INTO idempotency_keys (tenant_id, key, body_hash, response) VALUES (%s, 'k1', '', '{}')",
            [shop.tenant_id],
        )
        answer = await shop.respond("k1", **body)
        await connection.execute("DELETE FROM idempotency_keys")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert answer.headers["retry-after"] == "1"
    assert (await shop.respond("k1", **body)).status_code == 201


async def test_what_a_key_named_may_be_gone_when_it_is_repeated(shop: Shop) -> None:
    await shop.create("outcome-types", name="Renewed", key="renewed", classification="positive")
    first = await shop.respond("k1", creativeId="gold-web", outcome="renewed")
    await shop.api.editor.delete("/api/v1/creatives/gold-web")
    await shop.api.editor.delete("/api/v1/outcome-types/renewed")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await shop.respond(str(uuid4()), creativeId="gold-web", outcome="renewed")).status_code != 400:
            await asyncio.sleep(0.02)

    replay = await shop.respond("k1", creativeId="gold-web", outcome="renewed")
    other = await shop.respond("k1", creativeId="gold-web", outcome="click")

    assert first.status_code == 201, first.text
    assert (replay.status_code, replay.content) == (200, first.content)
    assert (other.status_code, other.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_refused_response_frees_its_key(shop: Shop) -> None:
    refused = await shop.respond("k1", creativeId="no-such-creative")

    assert refused.status_code == 404
    assert (await shop.respond("k1", creativeId="gold-web")).status_code == 201


async def test_a_response_may_name_a_creative_for_a_customer_never_seen(shop: Shop) -> None:
    creative = await shop.get("creatives/gold-web")
    for number, name in enumerate(({"creativeId": "gold-web"}, {"treatmentId": creative["id"]})):
        answer = await shop.respond(f"k{number}", customerId="new", **name)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert (found["offerName"], found["creativeName"], found["channelName"]) == ("gold", "gold-web", "Web")
        assert (found["recommendationId"], found["rank"]) == (None, None)


async def test_interaction_type_is_another_name_of_outcome(shop: Shop) -> None:
    body = {"customerId": "c1", "interactionType": "dismiss", "creativeId": "gold-web", "idempotencyKey": "k"}

    answer = await shop.api.editor.post("/api/v1/capture", json=body)

    assert (answer.status_code, answer.json()["classification"]) == (201, "negative")


# What is missing or wrong, and the path that the message names.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no customer": ({"customerId": None}, "$.customerId"),
    "unknown field": ({"colour": "red"}, "$.colour"),
    "unknown outcome": ({"outcome": "frowned"}, "$.outcome"),
    "no outcome": ({"outcome": None}, "$.outcome"),
    "outcome of another type": ({"outcome": 7}, "$.outcome"),
    "nothing named": ({"creativeId": None}, "$.recommendationId"),
    "no rank": ({"creativeId": None, "recommendationId": "rec_x"}, "$.rank"),
    "rank 0": ({"creativeId": None, "recommendationId": "rec_x", "rank": 0}, "$.rank"),
    "rank of another type": ({"creativeId": None, "recommendationId": "rec_x", "rank": "1"}, "$.rank"),
    "direction": ({"direction": "sideways"}, "$.direction"),
    "value": ({"conversionValue": "9.99"}, "$.conversionValue"),
    "value beyond sums": ({"conversionValue": 1e300}, "$.conversionValue"),
    "context": ({"context": "mail"}, "$.context"),
    "timestamp": ({"timestamp": "yesterday"}, "$.timestamp"),
    "timestamp of another type": ({"timestamp": 1700000000}, "$.timestamp"),
    "future": ({"timestamp": "2999-01-01T00:00:00Z"}, "$.timestamp"),
    "before retention": ({"timestamp": "2001-01-01"}, "$.timestamp"),
    "long key": ({"idempotencyKey": "x" * 256}, "$.idempotencyKey"),
    "zero character": ({"outcomeDetails": {"sku": "a\0"}}, "$.outcomeDetails.sku"),
}


async def test_a_wrong_response_is_refused_and_nothing_is_written(shop: Shop) -> None:
    await shop.recommend()
    before = await shop.counts()

    for name, (changes, path) in WRONG.items():
        body = {"customerId": "c1", "outcome": "click", "creativeId": "gold-web", "idempotencyKey": "k", **changes}
        content = json.dumps({field: value for field, value in body.items() if value is not None})
        answer = await shop.api.editor.post("/api/v1/respond", content=content, headers=JSON)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "BAD_REQUEST"), (name, answer.text)
        assert path in [problem["path"] for problem in error["details"]], (name, answer.text)
    large = await shop.respond("k", creativeId="gold-web", context={"text": "x" * 2 * 1024 * 1024})
    assert large.status_code == 413

    assert await shop.counts() == before


async def test_a_key_is_required_and_header_and_body_must_agree(shop: Shop) -> None:
    body = {"customerId": "c1", "outcome": "click", "creativeId": "gold-web"}
    post = shop.api.editor.post

    refused = [
        await post("/api/v1/respond", json=body),
        await post("/api/v1/respond", json=body, headers={"Idempotency-Key": ""}),
        await post("/api/v1/respond", json=body, headers={"Idempotency-Key": "x" * 256}),
        await post("/api/v1/respond", json={**body, "idempotencyKey": "a"}, headers={"Idempotency-Key": "b"}),
    ]
    same = await post("/api/v1/respond", json={**body, "idempotencyKey": "a"}, headers={"Idempotency-Key": "a"})

    assert [answer.status_code for answer in refused] == [400] * 4
    assert all("dempotency" in answer.json()["error"]["message"] for answer in refused)
    assert same.status_code == 201


async def test_an_unknown_reference_is_404_also_when_another_tenant_has_it(shop: Shop, other_shop: Shop) -> None:
    mine, theirs = await target(shop), await target(other_shop)
    stranger = await shop.recommend("somebody else", channel="email")
    old = f"rec_{new_ids(int((datetime.now(UTC) - timedelta(days=31)).timestamp() * 1000), 1)[0]}"
    their_creative = await other_shop.create("creatives", name="x", key="theirs", offerId="gold", channelId="web")
    before = await shop.counts()

    unknown: list[dict[str, Any]] = [
        theirs,
        {**mine, "rank": 4},
        {**mine, "rank": 100_000},
        {**mine, "recommendationId": f"rec_{uuid4()}"},
        {**mine, "recommendationId": "rec_nonsense"},
        {**mine, "recommendationId": stranger["recommendationId"]},
        {"recommendationId": old, "rank": 1},
        {"creativeId": "no-such-creative"},
        {"creativeId": str(uuid4())},
        {"creativeId": "theirs"},
        {"creativeId": their_creative["id"]},
        {"offerId": "no-such-offer"},
    ]
    for body in unknown:
        answer = await shop.respond("k", **body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "NOT_FOUND"), body
        assert error["details"][0]["path"] in {"$.recommendationId", "$.creativeId", "$.offerId"}, body

    assert await shop.counts() == before


async def test_a_recommendation_is_answered_for_thirty_days(shop: Shop) -> None:
    decision = await shop.recommend(channel="email")
    for days, status in ((29.9, 201), (30.1, 404)):
        aged = await aged_decision(shop, decision["recommendationId"], days)
        answer = await shop.respond(f"k{days}", recommendationId=aged, rank=1)
        assert answer.status_code == status, answer.text


async def aged_decision(shop: Shop, public_id: str, days: float) -> str:
    """Return the id of a copy of a decision that was made so many days ago."""
    at = datetime.now(UTC) - timedelta(days=days)
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    id_ = new_ids(round(at.timestamp() * 1000), 1)[0]
    await shop.run(
        "INSERT INTO decision_traces (tenant_id, recommendation_id, decided_at, customer_id, flow_id, flow_version,"
        " offer_ids) SELECT tenant_id, %(id)s, %(at)s, customer_id, flow_id, flow_version, offer_ids"
        " FROM decision_traces WHERE tenant_id = %(tenant_id)s AND recommendation_id = %(old)s",
        at=at,
        id=id_,
        old=public_id.removeprefix("rec_"),
    )
    return f"rec_{id_}"


async def test_a_response_counts_in_the_window_of_its_own_time(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxContacts": 1, "windowDays": 2}, scope="offer", scopeId="gold")

    old = await shop.respond("k1", creativeId="gold-mail", outcome="impression", timestamp=ago(days=3))
    still = await shop.recommend(channel="email", limit=1)
    recent = await shop.respond("k2", creativeId="gold-mail", outcome="impression", timestamp=ago(days=1))
    capped = await shop.recommend(channel="email", limit=1)

    assert (old.status_code, recent.status_code) == (201, 201)
    assert still["decisions"][0]["offerKey"] == "gold"
    assert capped["decisions"][0]["offerKey"] == "silver"


async def test_only_impressions_are_contacts(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 1}, scope="offer", scopeId="gold")

    for number, outcome in enumerate(("click", "convert", "not_presented", "dismiss")):
        assert (await shop.respond(f"k{number}", creativeId="gold-mail", outcome=outcome)).status_code == 201
        assert (await shop.recommend(channel="email", limit=1))["decisions"][0]["offerKey"] == "gold"
    await shop.respond("shown", creativeId="gold-mail", outcome="impression")

    assert (await shop.recommend(channel="email", limit=1))["decisions"][0]["offerKey"] == "silver"


async def test_a_little_ahead_of_time_is_accepted(shop: Shop) -> None:
    for number, (minutes, status) in enumerate(((4.5, 201), (5.5, 400))):
        answer = await shop.respond(f"k{number}", creativeId="gold-web", timestamp=ago(minutes=-minutes))
        assert answer.status_code == status, answer.text


async def test_directions_follow_the_outcome_unless_given(shop: Shop) -> None:
    cases: tuple[tuple[str, dict[str, str], str], ...] = (
        ("click", {}, "inbound"),
        ("impression", {}, "outbound"),
        ("click", {"direction": "outbound"}, "outbound"),
    )
    for number, (outcome, given, _) in enumerate(cases):
        await shop.respond(f"k{number}", creativeId="gold-web", outcome=outcome, **given)

    assert [event.direction for event in await shop.events()] == [direction for *_, direction in cases]
