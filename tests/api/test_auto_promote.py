"""Auto-promotion: a challenger that has won becomes champion, through the guard, and decides at once."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kaireon_application.experimentation.auto_promote import AutoPromote, AutoPromotion, Verdict
from kaireon_core.experimentation.bucket import bucket_of
from tests.api.test_experiments import scorecard

if TYPE_CHECKING:
    from kaireon_api.settings import Settings
    from tests.api.conftest import Eventually
    from tests.api.shop import Shop

CUSTOMERS = [f"c{number}" for number in range(120)]
MODELS = "/api/v1/algorithm-models"


def arm(customer: str) -> str:
    return "low" if bucket_of("spring", customer) < 50 else "high"


async def won(shop: Shop, winner: str = "high", metrics: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Run an experiment in which all of the winner's customers convert, and one in five of the other's."""
    await scorecard(shop, "low", 20)
    await scorecard(shop, "high", 80)
    if metrics is not None:
        await shop.api.admin.put(f"{MODELS}/high", json={"metrics": metrics})
    snapshot = {"metricsSnapshot": {"auc": 0.9}}
    await shop.api.admin.post(f"{MODELS}/low/promote", json={"toStatus": "champion", "family": "cards", **snapshot})
    split = {"trafficSplit": {"championPct": 50}, "challengers": [{"modelId": "high", "trafficPct": 50}]}
    body: dict[str, Any] = {"championModelId": "low", **split, "autoPromote": True, "promoteAfterDays": 1, **fields}
    experiment = await shop.create("experiments", key="spring", name="Spring", status="active", **body)
    arms = {"champion": {"modelKey": "low", "weight": 50}, "challengers": [{"modelKey": "high", "weight": 50}]}
    config = {"method": "propensity", "modelKey": "low", "championChallenger": {**arms, "experimentId": "spring"}}
    await shop.flow("contest", {"type": "score", "config": config})
    answer = await shop.api.viewer.post("/api/v1/decide", json={"customerIds": CUSTOMERS, "limit": 1})
    assert answer.status_code == 200, answer.text
    for place, result in enumerate(answer.json()["results"]):
        customer = result["customerId"]
        if arm(customer) == winner or place % 5 == 0:
            target = {"recommendationId": result["recommendationId"], "rank": 1, "outcome": "convert"}
            answer_ = await shop.respond(customer, customerId=customer, **target)
            assert answer_.status_code == 201, answer_.text
    return experiment


async def looked_at(shop: Shop, days: float) -> list[AutoPromotion]:
    """Look at the experiments as so many days after they were started."""
    services = shop.api.app.services
    now = datetime.now(UTC) + timedelta(days=days)
    auto_promote = AutoPromote(
        entities=services.entities,
        flows=services.engine.flows,
        outcomes=services.lifecycle.outcomes,
        evidence=services.lifecycle.promote.evidence,
    )
    return await auto_promote(shop.tenant_id, now)


async def status_of(shop: Shop, key: str) -> str:
    return (await shop.get(f"algorithm-models/{key}"))["registryStatus"]


async def test_a_challenger_that_has_won_becomes_champion_and_decides(shop: Shop, eventually: Eventually) -> None:
    experiment = await won(shop)
    (early,) = await looked_at(shop, 0.5)
    assert (early.verdict, await status_of(shop, "high")) == (Verdict.WAITING, "challenger")

    found = await looked_at(shop, 1.5)

    assert found == [AutoPromotion(experiment_key="spring", verdict=Verdict.PROMOTED, model_key="high")]
    assert (await status_of(shop, "low"), await status_of(shop, "high")) == ("archived", "champion")
    model = await shop.get("algorithm-models/high")
    assert (model["family"], model["promotions"][-1]["byKeyId"]) == ("cards", "system")
    over = await shop.get("experiments/spring")
    assert (over["status"], over["promotedModelId"], over["id"]) == ("completed", model["id"], experiment["id"])
    assert over["startedAt"] < over["completedAt"]
    flow = await shop.get("decision-flows/contest")
    node = flow["draftConfig"]["nodes"][1]["config"]
    assert (node["modelKey"], node["championChallenger"]) == ("high", None)
    assert [one["version"] for one in flow["publishedVersions"]] == [1, 2]

    async def everybody_gets_it() -> bool:
        answer = await shop.api.viewer.post("/api/v1/decide", json={"customerIds": CUSTOMERS[:20], "limit": 1})
        results = answer.json()["results"]
        assert not any(one.get("degradedScoring") for one in results)
        return {one["decisions"][0]["propensity"] for one in results} == {0.8}

    await eventually(everybody_gets_it)
    assert await looked_at(shop, 2) == []
    audited = await shop.rows(
        "SELECT action, entity_name, user_id FROM audit_logs"
        " WHERE tenant_id = %(tenant_id)s ORDER BY sequence DESC LIMIT 4"
    )
    assert [(row["action"], row["entity_name"], row["user_id"]) for row in reversed(audited)] == [
        ("promote", "low", "system"),
        ("promote", "high", "system"),
        ("update", "Spring", "system"),
        ("publish", "contest", "system"),
    ]


async def test_the_rollback_guard_holds_a_winner_back_and_nothing_changes(shop: Shop) -> None:
    await won(shop, metrics={"auc": 0.8})
    before = [await shop.get(path) for path in ("experiments/spring", "decision-flows/contest")]
    (found,) = await looked_at(shop, 2)
    assert (found.verdict, found.model_key) == (Verdict.REFUSED, "high")
    assert "auc" in (found.reason or "")
    assert (await status_of(shop, "low"), await status_of(shop, "high")) == ("champion", "challenger")
    assert [await shop.get(path) for path in ("experiments/spring", "decision-flows/contest")] == before


async def test_drift_holds_a_winner_back(shop: Shop) -> None:
    await won(shop)
    scores = {"referenceScores": [0.1, 0.2, 0.3, 0.4] * 30, "currentScores": [0.7, 0.8, 0.9, 0.95] * 30}
    checked = await shop.api.editor.post("/api/v1/models/high/drift", json=scores)
    assert (checked.status_code, checked.json()["verdict"]) == (200, "alert"), checked.text

    (found,) = await looked_at(shop, 2)

    assert (found.verdict, found.model_key) == (Verdict.REFUSED, "high")
    assert "psi" in (found.reason or "")
    assert (await status_of(shop, "low"), await status_of(shop, "high")) == ("champion", "challenger")


async def test_what_is_not_surely_better_by_the_threshold_waits(shop: Shop) -> None:
    await won(shop, promoteThreshold=0.95)
    (found,) = await looked_at(shop, 2)
    assert found.verdict is Verdict.WAITING
    await shop.api.admin.put("/api/v1/experiments/spring", json={"promoteThreshold": 0.05, "autoPromote": False})
    assert await looked_at(shop, 2) == []
    await shop.api.admin.put("/api/v1/experiments/spring", json={"autoPromote": True, "status": "paused"})
    assert await looked_at(shop, 2) == []
    assert await status_of(shop, "high") == "challenger"


async def test_a_worse_challenger_is_never_promoted(shop: Shop) -> None:
    await won(shop, winner="low", promoteThreshold=0)
    (found,) = await looked_at(shop, 30)
    assert (found.verdict, await status_of(shop, "high")) == (Verdict.WAITING, "challenger")


async def test_the_nightly_job_promotes(shop: Shop, settings: Settings) -> None:
    await won(shop)
    await shop.run(
        "UPDATE entities SET body = body || jsonb_build_object('startedAt', now() - interval '2 days')"
        " WHERE tenant_id = %(tenant_id)s AND kind = 'experiment'"
    )
    environment = {**os.environ, "DATABASE_URL": settings.database_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kaireon_cron",
        "scheduled-retrains",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    told = json.loads(out.splitlines()[-1])
    assert (told["ok"], told["promotedModels"], told["refusedPromotions"]) == (True, 1, 0)
    assert await status_of(shop, "high") == "champion"
