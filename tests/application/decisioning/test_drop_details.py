"""Details of drops: what a rule or policy says, with the value that it met."""

from __future__ import annotations

from typing import Any

import pytest

from kaireon_application.decisioning.drop_details import DropDetails
from kaireon_application.decisioning.trace import TraceContent
from kaireon_core.decisioning.reasons import Reason

HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000
DAY_MS = 24 * HOUR_MS
FACTS: dict[str, Any] = {
    "customer": {"age": 17, "seen": "2027-01-14T08:00:00Z", "deep": {"x": 1}},
    "attributes": {"basket": 3},
    "context": {},
    "segments": ["new", "vip"],
    "contacts": [["a", None, "web", NOW_MS - HOUR_MS, 1]],
    "contactTotals": [["a", None, "web", NOW_MS - HOUR_MS, 4], ["b", None, None, NOW_MS - 2 * HOUR_MS, 1]],
    "outcomes": [
        ["b", None, None, NOW_MS - 3 * DAY_MS, "dismiss", True],
        ["a", None, "web", NOW_MS - 2 * DAY_MS, "click", True],
    ],
    "metrics": {"m1": 2.5},
}
BAN: dict[str, Any] = {"afterOutcome": ["dismiss", "click"], "suppressForDays": 7}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("cooldown", {"scope": "global"}, {"hoursSinceLast": 1}),
    ("cooldown", {"scope": "offer b, channel mail"}, {"hoursSinceLast": 2}),
    ("cooldown", {"scope": "global", "perOffer": True}, {"hoursSinceLast": 1}),
    ("cooldown", {"scope": "category cards"}, {}),
    ("outcome_based", {"scope": "global", **BAN}, {"daysSince": 2, "lastOutcome": "click"}),
    ("outcome_based", {"scope": "offer b", **BAN}, {"daysSince": 3, "lastOutcome": "dismiss"}),
    (
        "outcome_based",
        {"scope": "channel web", "afterOutcome": ["impression"], "suppressForDays": 7},
        {"daysSince": round(1 / 24, 4), "lastOutcome": "impression"},
    ),
    ("category_suppression", {"scope": "global"}, {"daysSince": 2, "triggeringOfferId": "a"}),
    ("mutual_exclusion", {"scope": "global", "offerGroup": ["a", "b"]}, {"conflictingOfferId": "b"}),
    ("segment_exclusion", {"excludeSegments": ["old", "vip"]}, {"matchedSegment": "vip"}),
    ("segment_required", {"requiredSegments": ["old"]}, {"required": ["old"], "actual": ["new", "vip"]}),
    ("metric_condition", {"metric": "m1"}, {"actual": 2.5}),
    ("metric_condition", {"metric": "paused"}, {}),
    ("attribute_condition", {"attribute": "age", "value": 18}, {"expected": 18, "actual": 17}),
    ("attribute_condition", {"attribute": "customer.deep.x"}, {"expected": None, "actual": 1}),
    ("attribute_condition", {"attribute": "attributes.basket", "value": 1}, {"expected": 1, "actual": 3}),
    ("attribute_condition", {"attribute": "request.channel", "value": "web"}, {"expected": "web", "actual": "email"}),
    ("attribute_condition", {"attribute": "offer.priority", "value": 1}, {"expected": 1}),
    ("recency_check", {"attribute": "seen"}, {"actualDays": 1}),
    ("recency_check", {"attribute": "age"}, {}),
    ("frequency_cap", {"scope": "global", "max": 1}, {}),
]


@pytest.mark.parametrize(("type_", "said", "met"), CASES)
def test_a_detail_has_the_value_that_was_met(type_: str, said: dict[str, Any], met: dict[str, Any]) -> None:
    content = TraceContent(
        engine_version="",
        snapshot_hash=b"",
        reasons=b"",
        scores=None,
        propensities=None,
        fits=None,
        bare=None,
        picks=[],
        is_degraded=False,
        request={"nowMs": NOW_MS, "channel": "email"},
        facts=FACTS,
        duration_ms=0,
        durations_ms={},
    )
    reason = Reason(stage="qualify", node_id="n", type=type_, message="", detail=said)

    details = DropDetails.of(content, [(1, "a"), (2, "b")])

    assert details.told(reason, 1, "a") == {**said, **met}
