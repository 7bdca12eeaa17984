"""Calls of other flows: what they stand for, and which ones are refused."""

from __future__ import annotations

from typing import Any

import pytest

from kaireon_core.decisioning.call_flow import MAX_NODES, caller_problems, inline_calls
from kaireon_core.decisioning.flow import Conditional, Flow
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.problems import InvalidValue

INVENTORY = {"id": "i", "type": "inventory"}
FILTER = {"id": "f", "type": "filter", "config": {"conditions": [{"field": "x", "operator": "eq", "value": 1}]}}
MATCH = {"id": "m", "type": "match_creatives"}


def flow(*nodes: dict[str, Any]) -> Flow:
    return parse_flow({"nodes": [INVENTORY, *nodes]}, FlowKind.DRAFT)


def call(key: str | None, id_: str = "c", **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": "call_flow", "config": {"flowKey": key}, **more}


def problems(of: Flow, live: dict[str, Flow]) -> list[tuple[str, str]]:
    try:
        inline_calls(of, live, "me")
    except InvalidValue as error:
        return [(problem.path, problem.message) for problem in error.problems]
    return []


def test_a_flow_without_calls_stays_as_it_is() -> None:
    mine = flow(FILTER)
    assert inline_calls(mine, {}) is mine


def test_ids_stand_behind_the_calls_and_stay_unique() -> None:
    branch = {"id": "b", "type": "conditional", "config": {"condition": FILTER["config"], "then": [call("rules", "d")]}}
    live = {"rules": flow(FILTER), "both": flow(call("rules"), branch)}

    inlined = inline_calls(flow(FILTER, call("rules", "one"), call("both", "two")), live)

    assert [node.id for node in inlined.nodes] == ["i", "f", "one/f", "two/c/f", "two/b"]
    (last,) = inlined.nodes[-1:]
    assert isinstance(last, Conditional)
    assert [node.id for node in last.config.then] == ["two/d/f"]
    assert {node.phase for node in inlined.nodes} == {1}


def test_positions_of_the_called_flow_count_inside_it_only() -> None:
    live = {"rules": flow({**FILTER, "id": "late", "position": 9}, {**FILTER, "id": "early", "position": 2})}
    inlined = inline_calls(flow({**call("rules"), "position": 5}, {**FILTER, "position": 3}), live)
    assert [node.id for node in inlined.ordered()] == ["i", "f", "c/early", "c/late"]


_PATH = "$.nodes[1].config.flowKey"
_REFUSED: dict[str, tuple[dict[str, Flow], str]] = {
    "unknown": ({}, "there is no published flow 'a'"),
    "unknown further down": ({"a": flow(call("gone"))}, "there is no published flow 'gone'"),
    "a circle": ({"a": flow(call("me"))}, "flows may not call each other in a circle: me -> a -> me"),
    "a circle in another phase": (
        {"a": flow(call("b", phase=3)), "b": flow(call("me", phase=2))},
        "flows may not call each other in a circle: me -> a -> b -> me",
    ),
    "a circle of others": ({"a": flow(call("b")), "b": flow(call("a"))}, "calls lead more than 8 flows deep"),
    "too deep": (
        {"a": flow(call("1")), **{f"{n}": flow(call(f"{n + 1}")) for n in range(1, 9)}, "9": flow()},
        "calls lead more than 8 flows deep",
    ),
    "too many": (
        {
            "a": flow(*(call("b", f"b{n}") for n in range(40))),
            "b": flow(*({**FILTER, "id": f"f{n}"} for n in range(40))),
        },
        f"calls lead to more than {MAX_NODES} nodes",
    ),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_a_call_is_refused(name: str) -> None:
    live, message = _REFUSED[name]
    found = problems(flow(call("a")), live)
    assert [path for path, _ in found] == [_PATH]
    assert found[0][1].startswith(message)


def test_a_flow_does_not_call_itself() -> None:
    assert problems(flow(call("me")), {}) == [(_PATH, "flows may not call each other in a circle: me -> me")]


def test_what_a_flow_has_once_is_not_called_twice() -> None:
    live = {"a": flow(MATCH, {"id": "s", "type": "score"})}
    message = "with the called flow there would be more than one {} node"
    assert problems(flow(call("a"), MATCH), live) == [(_PATH, message.format("match_creatives"))]
    twice = flow(call("a", "x", phase=2), call("a", "y", phase=2))
    assert problems(twice, live) == [("$.nodes[2].config.flowKey", message.format("score"))]


def test_a_branch_holds_no_call_of_what_may_not_stand_in_it() -> None:
    config = {"condition": FILTER["config"], "else": [call("a")]}
    found = problems(flow({"id": "b", "type": "conditional", "config": config}), {"a": flow(FILTER, MATCH)})
    message = "a branch may not hold the match_creatives node of the called flow"
    assert found == [("$.nodes[1].config.else[0].config.flowKey", message)]


def hook(name: str, key: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "extension_point", "config": {"hook": name, "flowKey": key, **more}}


SCORE = {"id": "s", "type": "score"}


@pytest.mark.parametrize(
    ("name", "nodes", "expected"),
    [
        ("pre_score", [MATCH, FILTER], ["i", "f", "pre_score/f", "s"]),
        ("pre_score", [FILTER, SCORE, hook("post_rank", formula="true")], ["i", "f", "pre_score/f", "s"]),
        ("pre_score", [hook("pre_score", formula="true")], ["i", "f", "pre_score/pre_score", "s"]),
        ("score_override", [FILTER, SCORE], ["i", "f", "score_override/s"]),
        ("score_override", [hook("score_override", formula="1")], ["i", "f", "score_override/score_override", "s"]),
        ("post_rank", [hook("post_rank", formula="true"), MATCH], ["i", "f", "post_rank/post_rank", "s"]),
        ("score_override", [SCORE, hook("score_override", "deep")], ["i", "f", "score_override/score_override/s"]),
        ("score_override", [call("deep", phase=2)], ["i", "f", "score_override/c/s"]),
    ],
)
def test_a_hook_takes_what_does_the_same(name: str, nodes: list[dict[str, Any]], expected: list[str]) -> None:
    inlined = inline_calls(flow(hook(name, "a"), FILTER, SCORE), {"a": flow(*nodes), "deep": flow(SCORE, FILTER)})
    assert [node.id for node in inlined.ordered()] == expected


_NOTHING_TO_HOOK = {
    "pre_score": ([SCORE, MATCH], "one that narrows the candidates"),
    "score_override": ([FILTER, hook("score_override")], "a score node or an extension point with this hook"),
    "post_rank": ([FILTER, SCORE], "an extension point with this hook"),
}


@pytest.mark.parametrize("name", _NOTHING_TO_HOOK)
def test_a_hook_refuses_a_flow_that_does_nothing_there(name: str) -> None:
    nodes, wanted = _NOTHING_TO_HOOK[name]
    message = f"the flow 'a' has no node for the hook {name}: {wanted}"
    assert problems(flow(hook(name, "a")), {"a": flow(*nodes)}) == [(_PATH, message)]


def test_hooks_are_calls_where_names_and_circles_are_checked() -> None:
    assert problems(flow(hook("pre_score", "a")), {}) == [(_PATH, "there is no published flow 'a'")]
    circle = problems(flow(call("a")), {"a": flow(hook("post_rank", "me"))})
    assert circle == [(_PATH, "flows may not call each other in a circle: me -> a -> me")]


def test_an_extension_point_takes_a_formula_or_a_flow() -> None:
    with pytest.raises(InvalidValue, match="send either formula or flowKey, not both"):
        flow(hook("pre_score", "a", formula="true"))


def test_a_new_version_must_suit_its_callers() -> None:
    live = {"a": flow(call("b")), "b": flow(call("c")), "c": flow(FILTER), "other": flow(MATCH)}
    live["a"] = flow(call("b"), MATCH)

    assert list(caller_problems("c", flow(FILTER, {**FILTER, "id": "g"}), live)) == []
    assert [caller for caller, _ in caller_problems("c", flow(MATCH), live)] == ["a"]
    assert list(caller_problems("other", flow(MATCH), live)) == []
