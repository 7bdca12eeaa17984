"""The pack's models: a scorecard that works at once, and a gradient-boosted one that has to be trained."""

from __future__ import annotations

from typing import Any

from kaireon_worker.samples.completejourney.features import CUSTOMER_FEATURES
from kaireon_worker.samples.completejourney.schemas import OFFER_FIELDS, REDEMPTIONS
from kaireon_worker.samples.completejourney.training_rows import OFFER_NAMESPACE
from kaireon_worker.samples.definition import Definition

SCORECARD, REDEMPTION_MODEL = "completejourney-scorecard", "completejourney-redemption"

# Hand-set from what the data shows at first sight; (field, operator, value, points, description).
_POINTS: tuple[tuple[str, str, Any, float, str], ...] = (
    ("coupons_redeemed", "gte", 1, 20, "redeemed a mailed coupon before"),
    ("coupon_items_8w", "gte", 1, 10, "used any coupon in eight weeks"),
    ("baskets_8w", "gte", 8, 10, "shops every week"),
    ("recency_days", "gt", 28, -20, "has not shopped for four weeks"),
    ("spend_8w", "gte", 400, 5, "spends 50 or more a week"),
    (OFFER_NAMESPACE + "department", "eq", "GROCERY", 10, "most redemptions are for groceries"),
    (OFFER_NAMESPACE + "campaign_type", "eq", "A", 5, "personalised campaigns are redeemed more"),
    (OFFER_NAMESPACE + "coupon_count", "gte", 10, 5, "many coupons to choose from"),
)


def models() -> list[Definition]:
    """Return both models; only the scorecard can score before a training."""
    return [_scorecard(), _redemption_model()]


def _scorecard() -> Definition:
    rules = [
        {"id": f"r{number}", "field": field, "operator": op, "value": value, "points": points, "description": text}
        for number, (field, op, value, points, text) in enumerate(_POINTS, 1)
    ]
    return Definition(
        kind="algorithm_model",
        key=SCORECARD,
        name="Complete Journey scorecard",
        wire={
            "modelType": "scorecard",
            "description": "Points for habits that go with redeeming coupons; set by hand.",
            "config": {"baseScore": 20, "minScore": 0, "maxScore": 100, "normalization": "sigmoid", "rules": rules},
            **_target(),
        },
    )


def _redemption_model() -> Definition:
    return Definition(
        kind="algorithm_model",
        key=REDEMPTION_MODEL,
        name="Complete Journey redemption",
        wire={
            "modelType": "gradient_boosted",
            "description": "Will the household redeem a coupon of this offer? Trained on campaigns that are over.",
            # Few positives (3%): small trees, and leaves that no handful of households can fill. A quarter of the trees
            # that early stopping would keep at a learning rate of 0.05 costs 0.002 of AUC and saves every decision
            # two thirds of its scoring time.
            "config": {
                "timeField": "campaign_start",
                "seed": 0,
                "numIterations": 40,
                "learningRate": 0.1,
                "numLeaves": 15,
                "minDataInLeaf": 40,
                "featureFraction": 0.6,
            },
            **_target(),
        },
    )


def _target() -> dict[str, Any]:
    """Return label and predictors. Not among them: whatever is known only after a campaign (`training_rows`)."""
    fields = (*CUSTOMER_FEATURES, *(name for name, _ in OFFER_FIELDS))
    return {
        "targetSchemaKey": REDEMPTIONS,
        "targetField": "redeemed",
        "predictors": [{"field": field, "selected": True} for field in fields],
    }
