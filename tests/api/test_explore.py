"""Exploration over HTTP: probabilities are answered, sent and kept, and a decision can be made again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tests.api.shop import flow_config

if TYPE_CHECKING:
    from tests.api.shop import Shop

MATCH = {"type": "match_creatives"}


def explore(**config: Any) -> dict[str, Any]:
    return {"type": "rank", "config": {"method": "explore", **config}}


async def test_selection_probabilities_are_exact_everywhere(shop: Shop) -> None:
    await shop.flow("warm", MATCH, explore(temperature=0.9))
    weights = {"gold": math.exp(1), "silver": math.exp(2 / 3), "bronze": math.exp(1 / 3)}

    # That one offer is first in all 36 answers has a probability below 1e-12.
    answers = [await shop.recommend(f"c{number}", channel="email", limit=2) for number in range(36)]

    for answer in answers:
        left = dict(weights)
        for item in answer["decisions"]:
            expected = left[item["offerKey"]] / sum(left.values())
            assert math.isclose(item["selectionProbability"], expected, rel_tol=1e-12)
            del left[item["offerKey"]]
    assert len({answer["decisions"][0]["offerKey"] for answer in answers}) > 1
    made = {
        one.recommendation_id: [item.selection_probability for item in one.decisions] for one in await shop.events()
    }
    for answer in answers:
        probabilities = [item["selectionProbability"] for item in answer["decisions"]]
        trace = await shop.get(f"decision-traces/{answer['recommendationId']}")
        assert made[answer["recommendationId"]] == probabilities
        assert [one["selectionProbability"] for one in trace["selectedOffers"]] == probabilities
        assert [one["selectionProbability"] for one in trace["scoringResults"] if one["rank"] is None] == [None]


async def test_a_drawn_decision_is_made_again(shop: Shop) -> None:
    await shop.flow("curious", MATCH, explore(epsilon=1))

    for number in range(6):
        answer = await shop.recommend(f"c{number}", channel="email")
        again = await shop.api.editor.post(f"/api/v1/decision-traces/{answer['recommendationId']}/replay", json={})
        assert (again.status_code, again.json()["identical"]) == (200, True), again.text


async def test_a_policy_has_one_parameter_within_its_range(shop: Shop) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"epsilon": 1.1}, "epsilon"),
        ({"epsilon": -0.1}, "epsilon"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"epsilon": 0.1, "temperature": 1}, "temperature"),
    ]
    for config, field in wrong:
        body = {"key": "bad", "name": "bad", "draftConfig": flow_config(explore(**config))}
        refused = await shop.api.editor.post("/api/v1/decision-flows", json=body)
        assert refused.status_code == 400, config
        assert [one["path"] for one in refused.json()["error"]["details"]] == [f"$.draftConfig.nodes[1].config.{field}"]
    await shop.flow("neither", explore(), publish=False)
    refused = await shop.api.editor.post("/api/v1/decision-flows/neither/publish", json={})
    assert refused.status_code == 400
    assert [one["path"] for one in refused.json()["error"]["details"]] == ["$.draftConfig.nodes[1].config.epsilon"]
