"""Random calls: some of a flow's nodes move into other flows, and calls or hooks stand where they were."""

from __future__ import annotations

import random
from typing import Any

Thing = dict[str, Any]
# What a call in a branch may lead to: inventory and response are not run, the rest narrows.
RULES = {"nodes": [{"id": "i", "type": "inventory"}, {"id": "q", "type": "qualify"}, {"id": "r", "type": "response"}]}
MATCH = {"id": "m", "type": "match_creatives", "config": {"requireCreative": True}}


def with_calls(chance: random.Random, flow: Thing) -> tuple[Thing, Thing]:
    """Return the flow and the flows that it calls, by key."""
    if chance.randrange(4):
        return _with_hooks(chance, flow, {"rules": RULES})
    kept, moved, deeper = list[Thing](), list[Thing](), list[Thing]()
    for node in flow["nodes"]:
        stays = node["type"] in ("inventory", "response")
        (kept if stays else chance.choice([kept, moved, moved, deeper])).append(node)
    first, *rest = kept
    rest += _calls(chance, "sub")
    moved += _calls(chance, "deep")
    for nodes in (rest, moved):
        chance.shuffle(nodes)
    flows = {"rules": RULES, "sub": {"nodes": [first, *moved]}, "deep": {"nodes": [first, *deeper]}}
    return _with_hooks(chance, {**flow, "nodes": [first, *rest]}, flows)


def _with_hooks(chance: random.Random, flow: Thing, flows: Thing) -> tuple[Thing, Thing]:
    """Hook some formulas in through flows of their own, which may score, too, and narrow before the score."""
    nodes, flows = list[Thing](), dict(flows)
    for node in flow["nodes"]:
        if node["type"] != "extension_point" or chance.randrange(2):
            nodes.append(node)
            continue
        hook = node["config"]["hook"]
        scores = [{"id": "s", "type": "score"}] if not chance.randrange(2) else []
        ignored = [{"id": "x", "type": "qualify"}, {"id": "k", "type": "rank"}]
        narrowing = [RULES["nodes"][1], MATCH]
        inside = [*(narrowing if hook == "pre_score" else ignored), node, *scores]
        flows[f"hooked_{node['id']}"] = {"nodes": [RULES["nodes"][0], *inside]}
        nodes.append({**node, "config": {"hook": hook, "flowKey": f"hooked_{node['id']}"}})
    if not chance.randrange(8):
        config = {"hook": "pre_score", "flowKey": "rules"}
        nodes.append({"id": "rules-hook", "type": "extension_point", "config": config, "phase": chance.choice([1, 2])})
    return {**flow, "nodes": nodes}, flows


def _calls(chance: random.Random, key: str) -> list[Thing]:
    phases = [phase for phase in (1, 2, 3) if chance.randrange(4)]
    return [
        {"id": f"{key}{phase}", "type": "call_flow", "phase": phase, "config": {"flowKey": key}} for phase in phases
    ]
