"""The answer to a promotion says what is known of the model, and null for what is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from kaireon_application.learning.off_policy_evaluation import (
    EstimateAnswer,
    Estimators,
    EvaluationResult,
    Overlap,
    StoredEvaluation,
)
from kaireon_core.learning.area_difference import area_difference
from kaireon_storage.postgres.off_policy import PostgresOffPolicyEvaluations
from tests.api.test_model_lifecycle import bring, create, promote

if TYPE_CHECKING:
    from tests.api.shop import Shop

METRICS = {"auc": 0.8, "aucStandardError": 0.02, "validationRows": 900, "validationPositives": 60}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def evaluation(model_id: str) -> StoredEvaluation:
    def estimate(value: float) -> EstimateAnswer:
        return EstimateAnswer(value=value, standard_error=0.001, ci_lower=value - 0.002, ci_upper=value + 0.002)

    return StoredEvaluation(
        id=uuid4(),
        model_id=UUID(model_id),
        flow_id=None,
        source={"logId": str(uuid4())},
        target={"type": "model", "modelKey": "new"},
        result=EvaluationResult(
            n=12_000,
            estimators=Estimators(ips=estimate(0.05), snips=estimate(0.051), dr=estimate(0.052)),
            effective_sample_size=4_321.5,
            overlap=Overlap(max_weight=9, mean_weight=1, target_mass_not_in_log=0),
        ),
        created_at=NOW,
    )


async def test_nothing_is_made_up(shop: Shop) -> None:
    await create(shop.api.editor, "m1")
    found = (await promote(shop.api.editor, "m1", "shadow")).json()["evidence"]
    assert found == {"aucDifference": None, "offPolicyValue": None, "drift": None, "sampleSizes": {}}


async def test_what_is_known_beside_the_champion(shop: Shop) -> None:
    champion = {"auc": 0.75, "aucStandardError": 0.03, "validationRows": 500, "validationPositives": 40}
    await create(shop.api.editor, "old", metrics=champion)
    new = await create(shop.api.editor, "new", metrics=METRICS)
    await bring(shop.api.editor, "old", "champion", family="cards")
    stored = evaluation(new["id"])
    await PostgresOffPolicyEvaluations(shop.database).add(shop.tenant_id, stored)

    for status in ("shadow", "champion"):
        answer = await promote(shop.api.editor, "new", status, family="cards")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()["evidence"]
        value, lower, upper = area_difference(0.8, 0.02, 0.75, 0.03, 0.95)
        assert found["aucDifference"] == {
            "value": pytest.approx(value),
            "ciLower": pytest.approx(lower),
            "ciUpper": pytest.approx(upper),
            "method": "delong_unpaired",
        }
        assert (value, upper - lower) == pytest.approx((0.05, 2 * 1.959964 * 0.0360555), rel=1e-5)
        assert found["offPolicyValue"] == {
            "value": 0.052,
            "ciLower": pytest.approx(0.05),
            "ciUpper": pytest.approx(0.054),
            "method": "doubly_robust",
            "effectiveSampleSize": 4_321.5,
            "evaluationId": str(stored.id),
            "evaluatedAt": "2026-11-20T12:00:00Z",
        }
        assert found["sampleSizes"] == {
            "modelValidationRows": 900,
            "modelValidationPositives": 60,
            "championValidationRows": 500,
            "championValidationPositives": 40,
            "offPolicyRows": 12_000,
        }
    assert (await shop.get("algorithm-models/old"))["registryStatus"] == "archived"


async def test_the_guard_looks_at_known_drift_where_the_snapshot_says_nothing_of_it(shop: Shop) -> None:
    await create(shop.api.editor, "m1")
    await bring(shop.api.editor, "m1", "shadow")
    scores = {"referenceScores": [0.1, 0.2, 0.3, 0.4] * 30, "currentScores": [0.7, 0.8, 0.9, 0.95] * 30}
    checked = await shop.api.editor.post("/api/v1/models/m1/drift", json=scores)
    assert (checked.status_code, checked.json()["verdict"]) == (200, "alert"), checked.text

    refused = await promote(shop.api.editor, "m1", "champion")
    answer = await promote(shop.api.editor, "m1", "champion", metricsSnapshot={"psi": 0.1})

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "rollback_guard")
    assert "psi" in refused.json()["error"]["message"]
    assert answer.status_code == 200, answer.text
    found = checked.json()
    assert answer.json()["evidence"]["drift"] == {
        "verdict": "alert",
        "psiScore": found["psiScore"],
        "ksScore": found["ksScore"],
        "checkedAt": found["checkedAt"],
    }
    assert "psi" not in answer.json()["rollbackGuardSkipped"]
