"""Flows in words: every node, in run order, and nothing that is configured left out."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given

from kaireon_core.decisioning.explain_flow import FlowExplanation, explain_flow
from kaireon_core.decisioning.flow import AnyNode
from kaireon_core.decisioning.node_words import NODE_WORDS, node_words
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from tests.core.decisioning.worlds import cases

LOW: dict[str, Any] = {"modelKey": "low", "weight": 70}
INVENTORY: dict[str, Any] = {"id": "i", "type": "inventory"}
IS_NEW: dict[str, Any] = {"conditions": [{"field": "x", "operator": "is_null"}]}


def explained(*nodes: dict[str, Any]) -> FlowExplanation:
    return explain_flow(parse_flow({"nodes": list(nodes)}, FlowKind.DRAFT))


def text(type_: str, **config: Any) -> str:
    return explained({"id": "n", "type": type_, "config": config}).steps[0].text


def test_every_type_of_node_has_words() -> None:
    assert {str(type_.__struct_config__.tag) for type_ in get_args(AnyNode)} <= NODE_WORDS.keys()


@pytest.mark.parametrize(
    ("type_", "config", "expected"),
    [
        ("inventory", {}, "starts with all offers that are active"),
        ("inventory", {"offerIds": ["a"]}, "starts with the offers 'a' that are active"),
        (
            "inventory",
            {"scope": "category", "categoryIds": ["c", "d"], "includeStatuses": ["draft", "active"]},
            "starts with the offers of the categories 'c', 'd' that are draft or active",
        ),
        (
            "filter",
            {"conditions": [{"field": "age", "operator": "gte", "value": 18}, *IS_NEW["conditions"]]},
            "keeps the candidates for which age gte 18 and x is_null",
        ),
        ("enrich", {}, "adds nothing: no schema is configured"),
        (
            "enrich",
            {"schemaId": "s", "fields": ["a"], "cacheTtlSeconds": 5},
            "adds 'a' of the customer's row in the schema 's', found by customer_id; cacheTtlSeconds = 5",
        ),
        (
            "match_creatives",
            {"requireCreative": False, "placementMatchMode": "none"},
            (
                "joins each offer with its active creatives for the requested channel, whatever the placement;"
                " an offer without one stands for itself"
            ),
        ),
        (
            "qualify",
            {"mode": "selected", "ruleIds": ["r"]},
            "applies the qualification rules 'r': hard ones drop candidates, soft ones lower their score",
        ),
        ("contact_policy", {}, "applies all active contact policies: what they block is dropped"),
        ("extension_point", {"hook": "post_rank"}, "does nothing: nothing is hooked in (post_rank)"),
        ("extension_point", {"hook": "score_override", "formula": "score * 2"}, "replaces the score by score * 2"),
        ("extension_point", {"hook": "score_override", "flowKey": "other"}, "scores as the flow 'other' does"),
        ("score", {}, "scores by priority/100 x weight/100 x fit"),
        (
            "score",
            {"method": "propensity", "modelKey": "m", "propensityFloor": 0.1},
            "scores by propensity x fit; the propensity is that of the model 'm', raised to at least 0.1",
        ),
        (
            "score",
            {"method": "formula", "modelKey": "m"},
            (
                "scores by propensity^0.4 x relevance^0.2 x impact^0.3 x emphasis^0.1 x fit;"
                " the propensity is that of the model 'm'"
            ),
        ),
        (
            "score",
            {"championChallenger": {"champion": LOW, "challengers": [{"modelKey": "high", "weight": 30}]}},
            (
                "scores by propensity x fit; the propensity is that of the model to which the customer is assigned:"
                " 'low' (70 %), 'high' (30 %)"
            ),
        ),
        (
            "score",
            {"method": "propensity", "overrides": [{"channelId": "c", "modelKey": "x"}]},
            (
                "scores by propensity x fit; the propensity is that of the evidence of responses so far,"
                " but 'x' on the channel 'c'"
            ),
        ),
        (
            "score",
            {
                "method": "formula",
                "modelKey": "m",
                "strategyProfileId": "p",
                "strategyOverrides": [{"scope": "category", "value": "v", "profileId": "q"}],
            },
            (
                "scores by the priority formula with the weights of the ranking profile 'p', of 'q' for the category"
                " 'v' x fit; the propensity is that of the model 'm'"
            ),
        ),
        (
            "optimize",
            {"weights": {"revenue": 1}, "floor": 0.2},
            (
                'replaces the score by objectives with the weights of {"revenue":1.0}, combined by weighted_sum;'
                " what stays below 0.2 is dropped"
            ),
        ),
        ("rank", {"method": "diversity"}, "ranks by score, at first at most 1 of each category"),
        ("rank", {"maxCandidates": 3}, "ranks by score, then priority, then key; at most 3 are answered"),
        (
            "set_properties",
            {"properties": {"a": 1, "b": {"formula": "price * 2"}}},
            "gives each chosen offer a = 1, b = price * 2",
        ),
    ],
)
def test_a_node_is_told(type_: str, config: dict[str, Any], expected: str) -> None:
    assert text(type_, **config) == expected


def test_nodes_are_told_in_run_order_with_their_branches() -> None:
    branch = {"condition": IS_NEW, "then": [{"id": "a", "type": "qualify"}], "else": [{"id": "b", "type": "filter"}]}
    told = explained(
        {"id": "r", "type": "rank"}, INVENTORY, {"id": "c", "type": "conditional", "config": branch, "position": 9}
    )

    assert [(one.id, one.path, one.phase, one.depth, one.branch) for one in told.steps] == [
        ("i", "$.nodes[1]", 1, 0, None),
        ("c", "$.nodes[2]", 1, 0, None),
        ("a", "$.nodes[2].config.then[0]", 1, 1, "then"),
        ("b", "$.nodes[2].config.else[0]", 1, 1, "else"),
        ("r", "$.nodes[0]", 2, 0, None),
    ]
    assert [note.split(":")[0] for note in told.notes] == ["no match_creatives node", "no score node"]


def test_what_has_no_words_is_told_by_its_configuration() -> None:
    assert node_words("new", {"a": 1, "b": [2]}, {"a": 1}) == "runs as configured; b = [2]"


def test_placements_are_told() -> None:
    slots = [{"placementId": "hero", "slots": 1}, {"placementId": "side", "slots": 2}]
    config = {"placements": slots, "method": "optimal", "uniqueOffer": True}
    told = "fills the placements 'hero' (1 slots), 'side' (2 slots) for the greatest total score; each offer once"
    assert node_words("group", config, {}) == told


@given(case=cases())
def test_every_node_of_any_flow_is_told(case: dict[str, Any]) -> None:
    flow = parse_flow(case["flow"], FlowKind.DRAFT)
    told = explain_flow(flow)
    assert sorted(step.path for step in told.steps) == sorted(path for path, _ in flow.walk())
    assert all(step.text for step in told.steps)
