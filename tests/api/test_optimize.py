"""The optimize node over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.api.shop import flow_config

if TYPE_CHECKING:
    from tests.api.shop import Shop

MATCH = {"type": "match_creatives"}
SCORE = {"type": "score"}


def optimize(**config: Any) -> dict[str, Any]:
    return {"type": "optimize", "config": config}


async def test_objectives_of_a_profile_decide_the_order(shop: Shop) -> None:
    for key, revenue in (("gold", 10), ("silver", 40), ("bronze", 20)):
        await shop.api.editor.put(f"/api/v1/offers/{key}", json={"revenueValue": revenue})
    await shop.create("ranking-profiles", name="Money", key="money", weights={"revenue": 0.9, "clv": 0.1})
    await shop.flow("portfolio", MATCH, SCORE, optimize(profileKey="money", floor=0.2))

    answer = await shop.recommend(channel="email", debug=True)
    trace = await shop.get(f"decision-traces/{answer['recommendationId']}")
    why = await shop.get("customers/c1/why-not/gold")

    # Every candidate has the same customer value, so it counts in full for all of them.
    assert [(item["offerKey"], round(item["score"], 12)) for item in answer["decisions"]] == [
        ("silver", 1.0),
        ("bronze", 0.4),
    ]
    assert [(one["offerKey"], one["type"]) for one in trace["rankingResults"]] == [("gold", "floor")]
    assert len(trace["scoringResults"]) == 3
    assert answer["meta"]["stagesMs"]["optimisation"] > 0
    assert why["verdict"] == "eligible"


async def test_an_unsound_optimize_node_is_refused_with_its_path(shop: Shop) -> None:
    drafts: list[tuple[dict[str, Any], str]] = [
        ({"weights": {"luck": 1}}, "weights.luck"),
        ({"weights": {"revenue": 2}}, "weights.revenue"),
        ({"weights": {"revenue": 0}}, "weights"),
        ({"weights": {}}, "weights"),
        ({"weights": {"revenue": 1}, "profileKey": "x"}, "weights"),
        ({"weights": {"revenue": 1}, "method": "best"}, "method"),
        ({"weights": {"revenue": 1}, "floor": 1.5}, "floor"),
    ]
    for config, field in drafts:
        body = {"name": "wrong", "draftConfig": flow_config(optimize(**config))}
        refused = await shop.api.editor.post("/api/v1/decision-flows", json=body)
        assert refused.status_code == 400, config
        paths = [one["path"] for one in refused.json()["error"]["details"]]
        assert paths == [f"$.draftConfig.nodes[1].config.{field}"]
    for number, config in enumerate(({}, {"profileKey": "gone"})):
        await shop.flow(f"f{number}", optimize(**config), publish=False)
        refused = await shop.api.editor.post(f"/api/v1/decision-flows/f{number}/publish", json={})
        assert refused.status_code == 400
        paths = [one["path"] for one in refused.json()["error"]["details"]]
        assert paths == ["$.draftConfig.nodes[1].config.profileKey"]
