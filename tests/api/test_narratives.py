"""Narratives: a decision in words, for each of those who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.api.test_experiments import contest, two_models
from tests.api.test_mandatory import mandatory
from tests.api.test_traces import only_adults

if TYPE_CHECKING:
    from tests.api.shop import Shop

BOOSTED = "gradient_boosted"
LANGUAGES = ("de", "en", "es", "fr")


async def told(shop: Shop, decision: dict[str, Any] | str, mode: str, **body: Any) -> dict[str, Any]:
    id_ = decision if isinstance(decision, str) else decision["recommendationId"]
    answer = await shop.api.viewer.post(f"/api/v1/decisions/{id_}/narrative", json={"mode": mode, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_regulator_is_told_every_stage_every_reason_and_every_choice(shop: Shop) -> None:
    await only_adults(shop)
    await shop.policy("frequency_cap", {"maxPerDay": 1}, name="once a day")
    await shop.recommend(channel="web", limit=1, attributes={"age": 30})
    decision = await shop.recommend(channel="email", limit=1, attributes={"age": 12})
    capped = await told(shop, decision, "regulator")
    free = await told(shop, await shop.recommend("c2", channel="email", limit=1, attributes={"age": 12}), "regulator")
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")

    for part in (decision["recommendationId"], "c1", "'base-nba-flow'", trace["snapshotVersion"], "channel: email"):
        assert part in capped["narrative"]
    for stage in trace["funnel"]:
        assert f"{stage['in']} entered, {stage['out']} remained" in capped["narrative"]
    assert "1 dropped, grown up: not so: age gte 18" in capped["narrative"]
    assert "2 dropped, once a day: frequency_cap exceeded: 1/day" in capped["narrative"]
    assert "No offer was chosen." in capped["narrative"]
    assert "0 of 6 candidates were chosen, 6 were dropped" in capped["narrative"]
    expected = "Rank 1: 'silver' (silver), creative: silver-mail; score 0.6, propensity none, fit 1, selection"
    assert f"{expected} probability 1." in free["narrative"]
    assert (free["mode"], free["model"], free["cached"], free["language"]) == ("regulator", "template", False, "en")
    assert (free["quality"], free["leakWarnings"]) == ({"score": 1.0, "grade": "A"}, [])


async def test_an_agent_is_told_why_these_and_why_not_others(shop: Shop) -> None:
    await only_adults(shop)
    decision = await shop.recommend(channel="email", limit=1, attributes={"age": 12})

    narrative = (await told(shop, decision, "agent"))["narrative"]

    assert narrative.splitlines() == [
        "We recommend one offer to this customer: silver.",
        "'silver' stands at place 1 by its priority and how well it suits this customer.",
        "Other offers are not shown:",
        "  one offer: the customer does not meet a requirement ('grown up')",
        "  one offer: other offers rank higher",
    ]


async def test_a_customer_is_told_nothing_internal(shop: Shop) -> None:
    await only_adults(shop)
    decision = await shop.recommend(channel="email", attributes={"age": 12, "gender": "female"})

    answer = await told(shop, decision, "customer")

    assert answer["narrative"] == (
        "We have picked these offers for you: silver and bronze. Our choice follows what we would like to draw your"
        " attention to now. You may decline at any time."
    )
    assert answer["leakWarnings"] == []
    assert answer["quality"] == {"score": 1.0, "grade": "A"}


async def test_what_a_name_gives_away_is_warned_of(shop: Shop) -> None:
    await shop.create("offers", name="For female VIPs, ask bo@acme.test", key="f-1", status="active", priority=99)
    await shop.flow("bare", {"type": "score"})
    decision = await shop.recommend(limit=1, decisionFlowKey="bare", attributes={"gender": "female"}, segments=["VIPs"])

    customer, agent = await told(shop, decision, "customer"), await told(shop, decision, "agent")

    assert customer["leakWarnings"] == [
        "contains an e-mail address",
        "contains the customer's gender",
        "names the segment 'VIPs'",
    ]
    assert customer["quality"] == {"score": 0.25, "grade": "F"}
    assert agent["leakWarnings"] == ["contains an e-mail address", "contains the customer's gender"]


@pytest.mark.parametrize("mode", ["regulator", "agent", "customer"])
async def test_a_decision_without_offers_is_told_in_every_language(shop: Shop, mode: str) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 1}, name="once a day")
    await shop.recommend(channel="web", limit=1)
    decision = await shop.recommend(channel="web")
    assert decision["decisions"] == []

    answers = [await told(shop, decision, mode, language=language) for language in LANGUAGES]

    assert [answer["language"] for answer in answers] == list(LANGUAGES)
    assert len({answer["narrative"] for answer in answers}) == len(LANGUAGES)
    assert not any("{" in answer["narrative"] for answer in answers)
    if mode == "customer":
        assert "not want to get in touch with you too often" in answers[1]["narrative"]


async def test_a_model_is_named_or_said_to_have_failed(shop: Shop) -> None:
    card: dict[str, Any] = {"baseScore": 42, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": []}
    bodies: dict[str, dict[str, Any]] = {
        "card": {"modelType": "scorecard", "config": card},
        "trees": {"modelType": BOOSTED},
    }
    for key, body in bodies.items():
        await shop.create("algorithm-models", key=key, name=key, status="active", **body)
        await shop.run(
            "UPDATE entities SET body = jsonb_set(body, '{registryStatus}', '\"challenger\"')"
            " WHERE tenant_id = %(tenant_id)s AND key = %(key)s",
            key=key,
        )
        score = {"type": "score", "config": {"method": "propensity", "modelKey": key}}
        await shop.flow(f"by-{key}", {"type": "match_creatives"}, score)
    scored = await shop.recommend(decisionFlowKey="by-card", channel="email")
    degraded = await shop.recommend(decisionFlowKey="by-trees", channel="email")

    by_model = [await told(shop, scored, mode) for mode in ("regulator", "agent", "customer")]
    by_default = [await told(shop, degraded, mode) for mode in ("regulator", "agent", "customer")]

    assert "the model 'card', of the type scorecard" in by_model[0]["narrative"]
    assert "score 0.42, propensity 0.42, fit 1" in by_model[0]["narrative"]
    assert "at place 1: we expect a response with a chance of 42 %" in by_model[1]["narrative"]
    assert "what we believe you will find most useful" in by_model[2]["narrative"]
    assert "marked as degraded" in by_default[0]["narrative"]
    assert "The model was not available" in by_default[1]["narrative"]
    assert "most useful" not in by_default[2]["narrative"]


async def test_a_place_that_was_drawn_is_told_with_its_chance(shop: Shop) -> None:
    await shop.flow("drawn", {"type": "score"}, {"type": "rank", "config": {"method": "explore", "epsilon": 1}})
    decision = await shop.recommend(decisionFlowKey="drawn", limit=1)

    agent, regulator = await told(shop, decision, "agent"), await told(shop, decision, "regulator")

    assert "Its place was drawn by chance: it comes here in 33 % of such cases." in agent["narrative"]
    assert "selection probability 0.333333" in regulator["narrative"]


async def test_an_experiment_is_told(shop: Shop) -> None:
    await two_models(shop)
    await shop.flow("contest", contest())

    regulator = await told(shop, await shop.recommend(), "regulator")

    assert "In the experiment 'contest' the customer is assigned to '" in regulator["narrative"]


async def test_the_control_group_is_told(shop: Shop) -> None:
    changed = await shop.api.admin.put("/api/v1/tenant-settings", json={"holdoutPercentage": 100})
    assert changed.status_code == 200, changed.text
    decision = await shop.recommend()

    regulator, agent = await told(shop, decision, "regulator"), await told(shop, decision, "agent")

    assert decision["controlGroup"] is True
    assert "held out in the control group" in regulator["narrative"]
    assert "This customer is in a control group, for which no model is asked." in agent["narrative"]


async def test_what_must_be_shown_is_told_as_such(shop: Shop) -> None:
    await mandatory(shop, "notice")
    decision = await shop.recommend(limit=2)

    agent, regulator = await told(shop, decision, "agent"), await told(shop, decision, "regulator")
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")

    assert [one["mandatory"] for one in trace["selectedOffers"]] == [True, False]
    assert "'notice' stands at place 1 because it must be shown." in agent["narrative"]
    assert "'gold' stands at place 2 by its priority" in agent["narrative"]
    assert regulator["narrative"].count("It is mandatory: it scores 1") == 1


async def test_an_offer_that_stands_for_itself_has_no_creative(shop: Shop) -> None:
    await shop.create("offers", name="bare", key="bare", status="active", priority=10)
    await shop.flow("priorities", {"type": "match_creatives", "config": {"requireCreative": False}}, {"type": "score"})
    decision = await shop.recommend(decisionFlowKey="priorities", channel="sms")

    agent, regulator = await told(shop, decision, "agent"), await told(shop, decision, "regulator")
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")

    assert [item["creativeId"] for item in decision["decisions"]] == [None] * 4
    assert [one["creativeId"] for one in trace["selectedOffers"]] == [None] * 4
    assert "'bare' comes without a text of its own for this channel." in agent["narrative"]
    assert "'gold' (gold), creative: none; score 0.9" in regulator["narrative"]


async def test_the_language_is_known_or_refused_with_those_that_are(shop: Shop) -> None:
    decision = await shop.recommend(channel="email")
    path = f"/api/v1/decisions/{decision['recommendationId']}/narrative"

    region = await shop.api.viewer.post(path, json={"mode": "customer", "language": "de-AT"})
    unknown = await shop.api.viewer.post(path, json={"mode": "customer", "language": "tlh"})
    modeless = await shop.api.viewer.post(path, json={})
    strange = await shop.api.viewer.post(path, json={"mode": "friend"})

    assert region.json()["language"] == "de"
    assert region.json()["narrative"].startswith("Wir haben diese Angebote für Sie ausgesucht:")
    assert [answer.status_code for answer in (unknown, modeless, strange)] == [400, 400, 400]
    assert unknown.json()["error"]["details"] == [
        {"path": "$.language", "message": f"must be one of: {', '.join(LANGUAGES)}"}
    ]


async def test_a_decision_is_found_by_either_id_and_only_by_its_tenant(shop: Shop, other_shop: Shop) -> None:
    decision = await shop.recommend(channel="email")
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")

    assert await told(shop, trace["id"], "agent") == await told(shop, decision, "agent")
    for client, id_ in (
        (other_shop.api.viewer, trace["id"]),
        (shop.api.viewer, str(uuid4())),
        (shop.api.viewer, "nothing"),
    ):
        answer = await client.post(f"/api/v1/decisions/{id_}/narrative", json={})
        assert answer.status_code == 404, answer.text


async def test_a_decision_that_was_not_traced_says_so(shop: Shop) -> None:
    changed = await shop.api.admin.put("/api/v1/tenant-settings", json={"decisionTraceEnabled": False})
    assert changed.status_code == 200, changed.text
    decision = await shop.recommend(channel="email")

    answer = await shop.api.viewer.post(
        f"/api/v1/decisions/{decision['recommendationId']}/narrative", json={"mode": "agent"}
    )

    assert answer.status_code == 404
    assert "has no trace" in answer.json()["error"]["message"]
