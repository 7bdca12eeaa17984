"""The nodes of the reference: in which order they run, and what calls of other flows stand for."""

from __future__ import annotations

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
    for node in in_order(nodes):
        if node["type"] == "conditional":
            config = node["config"]
            branches = {name: without_calls(config.get(name, []), flows) for name in ("then", "else")}
            found.append({**node, "config": {**config, **branches}})
        elif node["type"] == "call_flow":
            found += _of_phase(flows[node["config"]["flowKey"]]["nodes"], _phase(node), flows)
        else:
            found.append(node)
    return [{**node, "position": None} for node in found]


def _of_phase(nodes: list[Thing], phase: int, flows: Thing) -> list[Thing]:
    """The nodes of one phase but the inventory and the response; an extension point may go by its hook."""

    def belongs(node: Thing) -> bool:
        phase_of_node = _phase(node)
        if node["type"] == "extension_point" and not node.get("phase"):
            phase_of_node = _HOOK_PHASES[node["config"]["hook"]]
        return node["type"] not in ("inventory", "response") and phase_of_node == phase

    return without_calls([node for node in in_order(nodes) if belongs(node)], flows)
