"""The nodes of the reference: in which order they run, and what calls of other flows stand for."""

from __future__ import annotations

from typing import Any

from tests.core.decisioning.plain_values import Thing

_PHASES = {"score": 2, "optimize": 2, "rank": 2, "group": 2, "compute": 3, "set_properties": 3, "response": 3}
_HOOK_PHASES = {"pre_score": 1, "score_override": 2, "post_rank": 2}


def in_order(nodes: list[Thing]) -> list[Thing]:
    return [node for _, node in sorted(enumerate(nodes), key=_run_order)]


def _run_order(numbered: tuple[int, Thing]) -> tuple[int, int, int]:
    number, node = numbered
    position = node.get("position")
    return _phase(node), position if isinstance(position, int) else number, number


def _phase(node: Thing) -> int:
    return node.get("phase") or _PHASES.get(node["type"], 1)


def without_calls(nodes: list[Thing], flows: Thing) -> list[Thing]:
    found: list[Thing] = []
    for node in _hooked_last(in_order(nodes)):
        if node["type"] == "conditional":
            config = node["config"]
            branches = {name: without_calls(config.get(name, []), flows) for name in ("then", "else")}
            found.append({**node, "config": {**config, **branches}})
        elif node["type"] == "call_flow":
            found += _of_phase(flows[node["config"]["flowKey"]]["nodes"], _phase(node), flows)
        elif "flowKey" in node.get("config", {}):
            found += _of_hook(flows[node["config"]["flowKey"]]["nodes"], node["config"]["hook"], flows)
        else:
            found.append(node)
    if any(node.get("hooked") for node in found if node["type"] == "score"):
        found = [node for node in found if node["type"] != "score" or node.get("hooked")]
    return [{**node, "position": None, "hooked": False} for node in found]


def _hooked_last(nodes: list[Thing]) -> list[Thing]:
    """The flows that are hooked in before the score narrow after all else."""
    return sorted(nodes, key=lambda node: _hook_of(node) == "pre_score" and "flowKey" in node["config"])


def _hook_of(node: Thing) -> Any:
    return node["config"]["hook"] if node["type"] == "extension_point" else None


def _of_hook(nodes: list[Thing], hook: str, flows: Thing) -> list[Thing]:
    """The nodes that do what a hook does: the narrowing ones, or the score and what replaces it, or what masks."""

    def belongs(node: Thing) -> bool:
        if node["type"] == "extension_point":
            return _hook_of(node) == hook
        return _phase(node) == _HOOK_PHASES[hook] and node["type"] not in ("inventory", "response")

    narrowing = ("filter", "enrich", "qualify", "contact_policy", "conditional")
    taken = {"pre_score": narrowing, "score_override": ("score",), "post_rank": ()}[hook]
    return [
        {**node, "hooked": True, "phase": _HOOK_PHASES[hook]}
        for node in without_calls([node for node in in_order(nodes) if belongs(node)], flows)
        if _hook_of(node) == hook or (_hook_of(node) is None and node["type"] in taken)
    ]


def _of_phase(nodes: list[Thing], phase: int, flows: Thing) -> list[Thing]:
    """The nodes of one phase but the inventory and the response; an extension point may go by its hook."""

    def belongs(node: Thing) -> bool:
        phase_of_node = _phase(node)
        if node["type"] == "extension_point" and (not node.get("phase") or "flowKey" in node["config"]):
            phase_of_node = _HOOK_PHASES[node["config"]["hook"]]
        return node["type"] not in ("inventory", "response") and phase_of_node == phase

    return without_calls([node for node in in_order(nodes) if belongs(node)], flows)
