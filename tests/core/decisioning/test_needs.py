"""A flow says what must be known of customers: what its rules and policies look at, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from kaireon_core.decisioning.calendar import DAY_MS
from kaireon_core.decisioning.history_needs import NOTHING, HistoryNeeds
from tests.core.decisioning.cases import Case, compile_case

Thing = dict[str, Any]

METRIC: Thing = {"metric": "clicks", "operator": "gte", "value": 1}
BAN: Thing = {"afterOutcome": "dismiss", "suppressForDays": 2}
LONGER: Thing = {"categoryId": "cards", "suppressionDays": 3}


def flow(*nodes: Thing, rules: list[Thing] | None = None, policies: list[Thing] | None = None) -> Case:
    named = [{"id": f"n{place}", **node} for place, node in enumerate([{"type": "inventory"}, *nodes])]
    return {
        "catalogue": {
            "offers": [{"id": "a", "tags": ["vip"]}],
            "qualification_rules": [{"id": f"r{place}", **rule} for place, rule in enumerate(rules or [])],
            "contact_policies": [
                {"id": f"p{place}", "scope": "global", **one} for place, one in enumerate(policies or [])
            ],
            "behavioral_metrics": [{"id": "m1", "key": "clicks"}, {"id": "m2", "key": "paused", "status": "paused"}],
        },
        "flow": {"nodes": named},
    }


def rule(type_: str, config: Thing, **more: Any) -> Thing:
    return {"ruleType": type_, "config": config, **more}


QUALIFY, POLICY = {"type": "qualify"}, {"type": "contact_policy"}
AGE = rule("attribute_condition", {"attribute": "age", "operator": "gte", "value": 18})
CASES: list[tuple[str, Case, HistoryNeeds]] = [
    ("nothing", flow(QUALIFY, POLICY, rules=[AGE], policies=[rule("cooldown", {"cooldownHours": 1})]), NOTHING),
    (
        "the longest window",
        flow(POLICY, policies=[rule("outcome_based", BAN), rule("category_suppression", LONGER)]),
        HistoryNeeds(outcome_window_ms=3 * DAY_MS),
    ),
    ("a node that is not there", flow(QUALIFY, policies=[rule("outcome_based", BAN)]), NOTHING),
    (
        "a paused policy",
        flow(POLICY, policies=[rule("outcome_based", BAN, status="paused")]),
        NOTHING,
    ),
    (
        "metrics once, by id",
        flow(QUALIFY, POLICY, rules=[rule("metric_condition", METRIC)], policies=[rule("metric_condition", METRIC)]),
        HistoryNeeds(metrics=("m1",)),
    ),
    (
        "a metric that is not computed",
        flow(QUALIFY, rules=[rule("metric_condition", {**METRIC, "metric": "m2"})]),
        NOTHING,
    ),
    (
        "segments of rules, policies and scopes",
        flow(
            QUALIFY,
            POLICY,
            rules=[rule("segment_required", {"requiredSegments": ["d"]}), {**AGE, "scope": "segment", "scopeId": "c"}],
            policies=[
                rule("segment_exclusion", {"excludeSegments": ["b", "d"]}),
                rule("allow_override", {}, scopes=[{"scope": "segment", "scopeId": "a"}]),
            ],
        ),
        HistoryNeeds(segments=("a", "b", "c", "d")),
    ),
    (
        "inside a branch",
        flow(
            {
                "type": "conditional",
                "config": {
                    "condition": {"conditions": [{"field": "age", "operator": "gt", "value": 1}]},
                    "then": [{"id": "in", **POLICY}],
                },
            },
            policies=[rule("outcome_based", BAN)],
        ),
        HistoryNeeds(outcome_window_ms=2 * DAY_MS),
    ),
    (
        "the tags that relevance compares with segments",
        flow({"type": "score", "config": {"method": "formula", "modelKey": "m"}}),
        HistoryNeeds(segments=("vip",)),
    ),
    (
        "what the objectives of an optimizer compare",
        flow(
            {"type": "score"},
            {"type": "optimize", "config": {"weights": {"relevance": 0.5, "engagement": 0.5}}},
        ),
        HistoryNeeds(outcome_window_ms=90 * DAY_MS, segments=("vip",)),
    ),
    (
        "no tags where relevance does not count",
        flow(
            {
                "type": "score",
                "config": {
                    "method": "formula",
                    "modelKey": "m",
                    "formula": {
                        "propensityWeight": 1,
                        "relevanceWeight": 0,
                        "impactWeight": 0,
                        "emphasisWeight": 0,
                    },
                },
            }
        ),
        NOTHING,
    ),
]


@pytest.mark.parametrize(("why", "case", "needs"), CASES, ids=[why for why, *_ in CASES])
def test_a_flow_needs_what_it_looks_at(why: str, case: Case, needs: HistoryNeeds) -> None:
    assert compile_case(case).needs.history == needs, why
