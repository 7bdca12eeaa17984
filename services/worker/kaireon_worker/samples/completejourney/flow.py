"""The pack's decision flow."""

from __future__ import annotations

from typing import Any

from kaireon_worker.samples.completejourney.model_forms import REDEMPTION_MODEL
from kaireon_worker.samples.completejourney.schemas import HOUSEHOLDS
from kaireon_worker.samples.definition import Definition, Identities

FLOW = "completejourney-nba"


def flow_config(ids: Identities) -> dict[str, Any]:
    """Return the flow's configuration.

    The score node names the gradient-boosted model from the start: until it is trained the engine falls back and says
    so (`degradedScoring`), and the first trained version is used without publishing again.
    """
    steps: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("inventory", 1, {"scope": "all", "includeStatuses": ["active"]}),
        ("match_creatives", 1, {"requireCreative": True, "placementMatchMode": "any"}),
        ("enrich", 1, {"schemaId": ids.text("schema", HOUSEHOLDS), "lookupKey": "customer_id", "cacheTtlSeconds": 60}),
        ("qualify", 1, {"mode": "all"}),
        ("contact_policy", 1, {"mode": "all"}),
        ("score", 2, {"method": "propensity", "modelKey": REDEMPTION_MODEL}),
        ("rank", 2, {"method": "diversity", "maxPerCategory": 2}),
        ("response", 3, {"responseFormat": "standard"}),
    )
    return {
        "version": 2,
        "nodes": [
            {"id": type_, "type": type_, "phase": phase, "position": number, "config": config}
            for number, (type_, phase, config) in enumerate(steps)
        ],
        "flowConfig": {},
    }


def flow(ids: Identities) -> Definition:
    """Return the flow as a draft; publishing is a step of its own."""
    return Definition(
        kind="decision_flow",
        key=FLOW,
        name="Complete Journey next best action",
        wire={
            "description": "Coupons for a household: eligible, not too often, most likely to be redeemed, varied.",
            "autoAssembly": False,
            "draftConfig": flow_config(ids),
        },
    )
