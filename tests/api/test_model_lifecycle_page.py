"""The product's page on the lifecycle of a model, request by request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kaireon_core.experimentation.bucket import bucket_of
from tests.api.test_model_lifecycle import MODELS, WAYS

if TYPE_CHECKING:
    import httpx

    from tests.api.shop import Shop

STATES = ("draft", "shadow", "challenger", "champion", "archived")
# The page's table of transitions, word for word.
ALLOWED = """
draft      → shadow, challenger, archived
shadow     → challenger, champion, archived, draft
challenger → champion, shadow, archived, draft
champion   → challenger, shadow, archived
archived   → draft
"""
FAMILY = "premium_card"


def pairs() -> list[tuple[str, str, bool]]:
    """Return all 25 pairs of states, and whether the page allows the step."""
    rows = (line.split("→") for line in ALLOWED.strip().splitlines())
    ways = {before.strip(): {one.strip() for one in after.split(",")} for before, after in rows}
    return [(before, after, after in ways[before]) for before in STATES for after in STATES]


async def register(shop: Shop, key: str, base: float = 50, **fields: Any) -> dict[str, Any]:
    config: dict[str, Any] = {"baseScore": base, "minScore": 0, "maxScore": 100, "normalization": "linear", "rules": []}
    body = {"modelType": "scorecard", "status": "active", "config": config, **fields}
    return await shop.create("algorithm-models", key=key, name=key, **body)


async def promote(client: httpx.AsyncClient, reference: str, **body: Any) -> httpx.Response:
    return await client.post(f"{MODELS}/{reference}/promote", json=body)


async def deploy(shop: Shop, key: str, status: str, base: float = 50, **fields: Any) -> str:
    """Register a model, bring it to a state, and return its id."""
    model = await register(shop, key, base)
    for step in WAYS[status]:
        answer = await promote(shop.api.editor, key, toStatus=step, family=FAMILY, **fields)
        assert answer.status_code == 200, answer.text
    return model["id"]


async def test_allowed_transitions(shop: Shop) -> None:
    for before, after, is_allowed in pairs():
        key = f"{before}-to-{after}"
        model_id = (await register(shop, key))["id"]
        for step in WAYS[before]:
            assert (await promote(shop.api.editor, key, toStatus=step)).status_code == 200, key
        answer = await promote(shop.api.editor, key, toStatus=after)
        if is_allowed:
            assert answer.status_code == 200, key
            found = answer.json()
            assert (found["modelId"], found["previousStatus"], found["newStatus"]) == (model_id, before, after)
            assert found["demotedChampionId"] is None
        else:
            assert answer.status_code == 400, key
            assert answer.json()["error"]["code"] == "invalid_transition"
        assert (await shop.get(f"algorithm-models/{key}"))["registryStatus"] == (after if is_allowed else before)


async def test_promote(shop: Shop) -> None:
    model = await register(shop, "premium_card_v3")
    body: dict[str, Any] = {
        "toStatus": "shadow",
        "family": "premium_card_v2",
        "metricsSnapshot": {"auc": 0.84, "errorRate": 0.02},
        "bypassRollbackGuard": False,
    }
    for reference in (model["id"], "premium_card_v3"):
        answer = await promote(shop.api.editor, reference, **body)
        assert answer.status_code == (200 if reference == model["id"] else 400)
    stored = await shop.get("algorithm-models/premium_card_v3")
    assert (stored["registryStatus"], stored["family"]) == ("shadow", "premium_card_v2")
    assert stored["metricsSnapshot"] == {"auc": 0.84, "errorRate": 0.02}

    old = await deploy(shop, "old_champ", "champion")
    answer = await promote(shop.api.admin, "premium_card_v3", toStatus="champion", family=FAMILY)
    assert answer.status_code == 200
    documented = {
        "modelId": model["id"],
        "previousStatus": "shadow",
        "newStatus": "champion",
        "demotedChampionId": old,
    }
    assert documented.items() <= answer.json().items()
    assert (await shop.get("algorithm-models/old_champ"))["registryStatus"] == "archived"


async def test_the_errors_of_promote(shop: Shop) -> None:
    await deploy(shop, "champ", "champion", metricsSnapshot={"auc": 0.9})
    await deploy(shop, "worse", "shadow")

    async def status(client: httpx.AsyncClient, reference: str, **body: Any) -> int:
        return (await promote(client, reference, **body)).status_code

    assert await status(shop.api.editor, "champ", toStatus="retired") == 400
    assert await status(shop.api.editor, "champ", toStatus="draft") == 400
    assert await status(shop.api.viewer, "worse", toStatus="champion") == 403
    assert await status(shop.api.editor, "alg_404", toStatus="champion") == 404
    bad = {"toStatus": "champion", "metricsSnapshot": {"auc": 0.84}}
    tripped = await promote(shop.api.editor, "worse", **bad)
    assert (tripped.status_code, tripped.json()["error"]["code"]) == (409, "rollback_guard")
    assert (await shop.get("algorithm-models/worse"))["registryStatus"] == "shadow"
    assert (await shop.get("algorithm-models/champ"))["registryStatus"] == "champion"
    assert await status(shop.api.editor, "worse", **bad, bypassRollbackGuard=True) == 200
    audited = await shop.rows(
        "SELECT action, entity_name FROM audit_logs WHERE tenant_id = %(tenant_id)s ORDER BY sequence DESC LIMIT 3"
    )
    assert [(row["action"], row["entity_name"]) for row in audited] == [
        ("rollback_guard_bypass", "worse"),
        ("promote", "worse"),
        ("promote", "champ"),
    ]


async def test_resolve_lifecycle(shop: Shop) -> None:
    champion = await deploy(shop, "premium_card_v3", "champion")
    challenger = await deploy(shop, "premium_card_v4_beta", "challenger")
    await deploy(shop, "premium_card_v5_candidate", "shadow")
    for parameters in ({"family": FAMILY}, {"family": FAMILY, "championWeight": 80}):
        assert await shop.get("algorithm-models/resolve-lifecycle", **parameters) == {
            "championModelKey": "premium_card_v3",
            "championModelId": champion,
            "challengers": [{"modelKey": "premium_card_v4_beta", "modelId": challenger, "weight": 20}],
            "shadowModelKeys": ["premium_card_v5_candidate"],
            "family": "premium_card",
            "warnings": [],
        }


async def test_the_trace_of_a_decision_with_challenger_and_shadow(shop: Shop) -> None:
    await deploy(shop, "premium_card_v3", "champion", base=95.3)
    await deploy(shop, "premium_card_v4_beta", "challenger", base=40)
    await deploy(shop, "premium_card_v5_candidate", "shadow", base=96.4)
    await shop.flow("cards", {"type": "score"}, publish=False)
    applied = await shop.api.editor.post("/api/v1/decision-flows/cards/apply-lifecycle", json={"publish": True})
    assert applied.status_code == 200, applied.text

    customers = [f"c{number}" for number in range(30)]
    champions = [one for one in customers if bucket_of("cards", one) < 80]
    assert 0 < len(champions) < len(customers)
    for customer in customers:
        decision = await shop.recommend(customer)
        is_champion = customer in champions
        variant = "premium_card_v3" if is_champion else "premium_card_v4_beta"
        assert decision["experimentAssignment"] == {"experimentKey": "cards", "variant": variant}
        trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
        assert trace["experimentAssignment"]["variant"] == variant
        first = trace["scoringResults"][0]
        assert (first["rank"], first["modelType"]) == (1, "scorecard")
        assert first["score"] == pytest.approx(0.953 if is_champion else 0.4)
        shadow = {"score": pytest.approx(0.964), "engineType": "scorecard"}
        for result in trace["scoringResults"]:
            assert result["shadowScores"] == {"premium_card_v5_candidate": shadow}


@pytest.mark.parametrize("model_type", ["bayesian", "logistic_regression"])
async def test_an_untrained_model_flips_a_coin(shop: Shop, model_type: str) -> None:
    await register(shop, "untrained", modelType=model_type, config={})
    answer = await promote(shop.api.editor, "untrained", toStatus="challenger")
    assert answer.status_code == 200
    await shop.flow("f", {"type": "score", "config": {"method": "propensity", "modelKey": "untrained"}})
    decision = await shop.recommend("c1")
    assert {item["propensity"] for item in decision["decisions"]} == {0.5}
    assert "degradedScoring" not in decision
