"""Flows that call flows, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.api.shop import flow_config

if TYPE_CHECKING:
    import httpx

    from tests.api.shop import Shop

MATCH = {"type": "match_creatives"}


def call(key: str, phase: int = 1) -> dict[str, Any]:
    return {"type": "call_flow", "phase": phase, "config": {"flowKey": key}}


def hooked(hook: str, key: str, **more: Any) -> dict[str, Any]:
    return {"type": "extension_point", "phase": 2, "config": {"hook": hook, "flowKey": key, **more}}


def only(key: str) -> dict[str, Any]:
    return {"type": "filter", "config": {"conditions": [{"field": "offer.key", "operator": "eq", "value": key}]}}


async def publish(shop: Shop, key: str, *nodes: dict[str, Any]) -> httpx.Response:
    """Publish a new draft of a flow that exists."""
    changed = await shop.api.editor.put(f"/api/v1/decision-flows/{key}", json={"draftConfig": flow_config(*nodes)})
    assert changed.status_code == 200, changed.text
    return await shop.api.editor.post(f"/api/v1/decision-flows/{key}/publish", json={})


async def decided(shop: Shop, flow: str) -> list[str]:
    answer = await shop.recommend(channel="email", decisionFlowKey=flow)
    return [item["offerKey"] for item in answer["decisions"]]


async def test_a_call_means_what_is_published_now(shop: Shop) -> None:
    await shop.flow("rules", only("gold"))
    await shop.flow("caller", MATCH, call("rules"))
    before = await decided(shop, "caller")

    assert (await publish(shop, "rules", only("silver"))).status_code == 200
    after = await decided(shop, "caller")
    paused = await shop.api.editor.put("/api/v1/decision-flows/rules", json={"status": "paused"})

    assert (before, after, paused.status_code) == (["gold"], ["silver"], 200)
    assert await decided(shop, "caller") == ["silver"]


async def test_a_call_that_cannot_be_run_is_refused_with_its_path(shop: Shop) -> None:
    await shop.flow("a")
    await shop.flow("b", call("a", 3))
    await shop.flow("narrow", MATCH)
    await shop.flow("drafted", publish=False)

    refused = {
        "in a circle": await publish(shop, "a", call("b", 2)),
        "no published flow 'a circle'": await publish(shop, "b", call("a circle")),
        "no published flow 'drafted'": await publish(shop, "b", call("drafted")),
        "more than one match_creatives": await publish(shop, "b", MATCH, call("narrow")),
    }
    assert (await shop.api.editor.put("/api/v1/decision-flows/a", json={"status": "paused"})).status_code == 200
    refused["no published flow 'a'"] = await publish(shop, "b", call("a"))

    for message, answer in refused.items():
        assert answer.status_code == 400, message
        (problem,) = answer.json()["error"]["details"]
        assert message in problem["message"]
        assert problem["path"].endswith(".config.flowKey")


async def test_a_version_that_would_break_a_caller_is_refused(shop: Shop) -> None:
    await shop.flow("rules", only("gold"))
    await shop.flow("caller", MATCH, call("rules"))

    refused = await publish(shop, "rules", MATCH)

    assert refused.status_code == 400
    (problem,) = refused.json()["error"]["details"]
    assert problem["path"] == "$.draftConfig.nodes"
    assert "the flow 'caller' calls this one" in problem["message"]
    assert await decided(shop, "caller") == ["gold"]


async def test_a_flow_hooked_in_means_what_is_published_now(shop: Shop) -> None:
    await shop.flow("rules", only("gold"))
    await shop.flow("hooked", MATCH, hooked("pre_score", "rules"))
    before = await decided(shop, "hooked")

    assert (await publish(shop, "rules", only("silver"))).status_code == 200
    after = await decided(shop, "hooked")
    refused = [
        await publish(shop, "rules", {"type": "score"}),
        await publish(shop, "hooked", hooked("post_rank", "rules")),
        await shop.api.editor.put(
            "/api/v1/decision-flows/hooked",
            json={"draftConfig": flow_config(hooked("pre_score", "rules", formula="true"))},
        ),
    ]

    assert (before, after) == (["gold"], ["silver"])
    assert [answer.status_code for answer in refused] == [400, 400, 400]
    words = [answer.json()["error"]["details"][0]["message"] for answer in refused]
    assert "has no node for the hook pre_score" in words[0]
    assert words[1] == "the flow 'rules' has no node for the hook post_rank: an extension point with this hook"
    assert words[2] == "send either formula or flowKey, not both"
