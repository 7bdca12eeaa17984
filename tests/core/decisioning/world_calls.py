"""Random calls: some of a flow's nodes move into other flows, and calls stand where they were."""

from __future__ import annotations

import random
from typing import Any

Thing = dict[str, Any]
# What a call in a branch may lead to: inventory and response are not run, the rest narrows.
RULES = {"nodes": [{"id": "i", "type": "inventory"}, {"id": "q", "type": "qualify"}, {"id": "r", "type": "response"}]}


def with_calls(chance: random.Random, flow: Thing) -> tuple[Thing, Thing]:
    """Return the flow and the flows that it calls, by key."""
    if chance.randrange(4):
        return flow, {"rules": RULES}
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
    return {**flow, "nodes": [first, *rest]}, flows


def _calls(chance: random.Random, key: str) -> list[Thing]:
    phases = [phase for phase in (1, 2, 3) if chance.randrange(4)]
    return [
        {"id": f"{key}{phase}", "type": "call_flow", "phase": phase, "config": {"flowKey": key}} for phase in phases
    ]
