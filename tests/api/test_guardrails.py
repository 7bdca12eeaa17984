"""Guardrails over HTTP: hard ones block, soft ones warn, wrong ones are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.shop import Shop

CHOICE = {"metric": "offerCount", "op": "gte", "value": 3}


async def test_a_hard_guardrail_blocks_and_a_soft_one_warns(shop: Shop) -> None:
    await shop.create("guardrails", key="choice", name="Choice", expressionAst={"all": [CHOICE]})
    await shop.create("guardrails", key="rich", name="Rich", severity="soft", expressionAst={**CHOICE, "value": 9})

    enough = await shop.recommend(channel="email", debug=True)
    few = await shop.recommend(channel="email", excludeOffers=["gold"])

    assert (enough["count"], enough["meta"]["guardrailWarnings"]) == (3, ["rich"])
    assert few["decisions"] == []
    trace = await shop.get(f"decision-traces/{few['recommendationId']}")
    assert {one["type"] for one in trace["rankingResults"]} == {"guardrail"}
    assert trace["guardrailWarnings"] == ["rich"]
    replayed = await shop.api.viewer.post(f"/api/v1/decision-traces/{few['recommendationId']}/replay")
    assert replayed.json() == {"identical": True, "differences": []}
    metrics = (await shop.api.anonymous.get("/api/metrics")).text
    for result, count in (("passed", 1), ("warned", 2), ("blocked", 1)):
        assert f'kaireon_guardrail_evaluation_total{{result="{result}"}} {count}.0' in metrics


async def test_guardrails_are_listed_changed_and_deleted_by_key(shop: Shop) -> None:
    made = await shop.create("guardrails", key="choice", name="Choice", expressionAst=CHOICE)

    listed = await shop.get("guardrails")
    changed = await shop.api.admin.put("/api/v1/guardrails/choice", json={"status": "paused", "rowVersion": 1})
    stale = await shop.api.admin.put("/api/v1/guardrails/choice", json={"status": "active", "rowVersion": 1})
    deleted = await shop.api.admin.delete("/api/v1/guardrails", params={"key": "choice"})

    assert listed == [made]
    assert (changed.status_code, changed.json()["status"]) == (200, "paused")
    assert stale.status_code == 409
    assert deleted.status_code == 204
    assert await shop.get("guardrails") == []


async def test_a_wrong_expression_is_refused_at_its_place(shop: Shop) -> None:
    deep: dict[str, Any] = CHOICE
    for _ in range(9):
        deep = {"not": deep}
    wrong: list[tuple[Any, str]] = [
        ({}, "$.expressionAst"),
        ({"all": []}, "$.expressionAst.all"),
        ({"any": [CHOICE, {**CHOICE, "metric": "luck"}]}, "$.expressionAst.any[1].metric"),
        ({"not": {**CHOICE, "op": "like"}}, "$.expressionAst.not.op"),
        ({**CHOICE, "value": "3"}, "$.expressionAst.value"),
        ({**CHOICE, "value": True}, "$.expressionAst.value"),
        ({**CHOICE, "extra": 1}, "$.expressionAst.extra"),
        (deep, "$.expressionAst" + ".not" * 8),
    ]
    for expression, path in wrong:
        answer = await shop.api.admin.post("/api/v1/guardrails", json={"name": "x", "expressionAst": expression})
        assert (answer.status_code, answer.json()["error"]["details"][0]["path"]) == (400, path), answer.text
