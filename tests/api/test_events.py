"""The events that decisions and responses leave in the outbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator, FormatChecker

from kaireon_application.platform.event_schemas import DECISION_MADE, INTERACTION_RECORDED, DecisionMade

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.shop import Shop


async def test_events_of_a_customer_stand_in_commit_order(shop: Shop) -> None:
    first = await shop.recommend(channel="web", limit=2)
    await shop.respond("k1", recommendationId=first["recommendationId"], rank=2, outcome="convert", conversionValue=3)
    second = await shop.recommend(channel="email")

    made, gold, silver, convert, made_again = await shop.events()

    assert (made.recommendation_id, made_again.recommendation_id) == (
        first["recommendationId"],
        second["recommendationId"],
    )
    assert isinstance(made, DecisionMade)
    assert [(one.sequence, one.rank, one.outcome_type_key) for one in (gold, silver, convert)] == [
        (1, 1, "impression"),
        (2, 2, "impression"),
        (3, 2, "convert"),
    ]
    assert (convert.classification, convert.direction, convert.conversion_value) == ("positive", "inbound", 3)
    assert {str(one.tenant_id) for one in (made, gold, convert)} == {str(shop.tenant_id)}


async def test_a_row_of_the_history_names_its_event(shop: Shop) -> None:
    await shop.recommend(channel="web", limit=1)
    await shop.respond("k1", creativeId="gold-mail")

    rows = (await shop.get("interaction-history", customerId="c1"))["data"]
    events = await shop.rows("SELECT id, key, type FROM outbox_events WHERE tenant_id = %(tenant_id)s")

    named = {row["eventId"] for row in rows if row["interactionType"] != "recommendation"}
    assert {row["eventId"] for row in rows if row["interactionType"] == "recommendation"} == {None}
    assert named == {str(event["id"]) for event in events if event["type"] == "interaction.recorded.v1"}
    assert {event["key"] for event in events} == {"c1"}


async def test_a_decision_is_announced_even_when_it_is_not_traced(shop: Shop) -> None:
    await shop.api.admin.put("/api/v1/tenant-settings", json={"decisionTraceSampleRate": 0})

    for number in range(5):
        await shop.recommend(f"c{number}")

    assert (await shop.get("decision-traces"))["pagination"]["total"] < 5
    assert len([event for event in await shop.events() if isinstance(event, DecisionMade)]) == 5


async def test_every_event_is_what_its_document_says(shop: Shop, clone: Path) -> None:
    first = await shop.recommend(channel="web", limit=2)
    await shop.respond("k1", recommendationId=first["recommendationId"], rank=2, outcome="convert", conversionValue=3)
    await shop.recommend("nobody-knows-me", channel="email")

    events = await shop.rows("SELECT type, payload FROM outbox_events WHERE tenant_id = %(tenant_id)s")

    assert {event["type"] for event in events} == {DECISION_MADE, INTERACTION_RECORDED}
    for event in events:
        schema = json.loads((clone / "docs/reference/events" / f"{event['type']}.json").read_text())
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(event["payload"])
