"""Flows as they are written: bad ones are refused with every problem and its JSON path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.problems import InvalidValue

_CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "golden" / "flows.json").read_text())


def _problems(flow: object, kind: FlowKind, path: str = "$") -> list[tuple[str, str]]:
    try:
        parse_flow(flow, kind, path)
    except InvalidValue as error:
        return [(problem.path, problem.message) for problem in error.problems]
    return []


@pytest.mark.parametrize("case", _CASES, ids=[case["name"] for case in _CASES])
def test_flow_is_refused_with_every_problem(case: dict[str, Any]) -> None:
    for kind, expected in (("published", case["published"]), ("draft", case.get("draft", case["published"]))):
        found = _problems(case["flow"], FlowKind(kind))
        assert [path for path, _ in found] == [problem["path"] for problem in expected]
        for (_, message), problem in zip(found, expected, strict=True):
            assert message.startswith(problem["message"])


def test_problems_are_told_below_the_callers_path() -> None:
    found = _problems({"nodes": [{"id": "x", "type": "rank", "config": 1}]}, FlowKind.DRAFT, "$.draftConfig")
    assert [path for path, _ in found] == ["$.draftConfig.nodes[0].config"]


def test_nodes_run_by_phase_then_position_then_as_written() -> None:
    written = [("response", 0), ("rank", 2), ("score", 1), ("contact_policy", 7), ("qualify", 7), ("inventory", -1)]
    nodes = [{"id": type_, "type": type_, "position": position} for type_, position in written]
    flow: Flow = parse_flow({"nodes": nodes})
    assert [node.type for node in flow.ordered()] == [
        "inventory",
        "contact_policy",
        "qualify",
        "score",
        "rank",
        "response",
    ]
