"""Differences between flows: by node, and only where they mean something else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from kaireon_core.decisioning.flow_diff import diff_flows
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from tests.core.decisioning.worlds import cases

INVENTORY: dict[str, Any] = {"id": "i", "type": "inventory"}
RANK: dict[str, Any] = {"id": "r", "type": "rank", "config": {"maxCandidates": 3}}


def conditional(*then: dict[str, Any], value: int = 1) -> dict[str, Any]:
    condition = {"conditions": [{"field": "x", "operator": "eq", "value": value}]}
    return {"id": "c", "type": "conditional", "config": {"condition": condition, "then": list(then)}}


def qualify(id_: str, *rules: str) -> dict[str, Any]:
    return {"id": id_, "type": "qualify", "config": {"mode": "selected", "ruleIds": list(rules)} if rules else {}}


def changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[tuple[str, str, Any, Any]]:
    flows = [parse_flow({"nodes": nodes}, FlowKind.DRAFT) for nodes in (before, after)]
    return [(one.path, one.kind.value, one.before, one.after) for one in diff_flows(*flows)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([INVENTORY], [{**INVENTORY, "config": {"scope": "all"}, "phase": 1}], []),
        (
            [INVENTORY, RANK],
            [INVENTORY, {**RANK, "config": {"maxCandidates": 5}}],
            [("$.nodes[r].config.maxCandidates", "changed", 3, 5)],
        ),
        ([INVENTORY, qualify("a"), qualify("b")], [INVENTORY, qualify("b"), qualify("a")], [
            ("$.nodes", "moved", ["i", "a", "b"], ["i", "b", "a"]),
        ]),
        (
            [INVENTORY, {**qualify("a"), "position": 1}, {**qualify("b"), "position": 2}],
            [INVENTORY, {**qualify("b"), "position": 20}, {**qualify("a"), "position": 10}],
            [],
        ),
        (
            [INVENTORY, conditional(qualify("q", "one"))],
            [INVENTORY, conditional(qualify("q", "one", "two"), value=2)],
            [
                (
                    "$.nodes[c].config.condition.conditions",
                    "changed",
                    [{"field": "x", "operator": "eq", "value": 1}],
                    [{"field": "x", "operator": "eq", "value": 2}],
                ),
                ("$.nodes[c].config.then[q].config.ruleIds", "changed", ["one"], ["one", "two"]),
            ],
        ),
    ],
    ids=["defaults", "a value", "the order", "positions", "a branch"],
)  # fmt: skip
def test_only_what_means_something_else_differs(
    before: list[dict[str, Any]], after: list[dict[str, Any]], expected: list[tuple[str, str, Any, Any]]
) -> None:
    assert changes(before, after) == expected


def test_nodes_come_go_and_change_their_type() -> None:
    before = [INVENTORY, qualify("q"), {"id": "x", "type": "filter"}]
    after = [INVENTORY, {"id": "x", "type": "enrich"}, RANK]

    assert [(path, kind) for path, kind, *_ in changes(before, after)] == [
        ("$.nodes[q]", "removed"),
        ("$.nodes[r]", "added"),
        ("$.nodes[x]", "changed"),
    ]


@given(one=cases(), other=cases())
def test_law_flows_differ_from_others_and_not_from_themselves(one: dict[str, Any], other: dict[str, Any]) -> None:
    mine, theirs = (parse_flow(case["flow"], FlowKind.DRAFT) for case in (one, other))
    assert diff_flows(mine, mine) == []
    swapped = {"added": "removed", "removed": "added"}
    back = [(c.path, swapped.get(c.kind, c.kind), c.after, c.before) for c in diff_flows(theirs, mine)]
    assert [(c.path, c.kind, c.before, c.after) for c in diff_flows(mine, theirs)] == back
    assert (diff_flows(mine, theirs) == []) == (mine.ordered() == theirs.ordered())


def test_a_whole_flow_is_compared() -> None:
    flows = [parse_flow({"nodes": [INVENTORY], "flowConfig": config}) for config in ({"a": 1}, {"b": 1})]
    assert [(one.path, one.kind.value) for one in diff_flows(*flows)] == [
        ("$.flowConfig.a", "removed"),
        ("$.flowConfig.b", "added"),
    ]
