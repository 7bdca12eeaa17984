"""What a flow does, in words, node by node in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from kaireon_core.decisioning.flow import (
    AnyNode,
    Conditional,
    Flow,
    Inventory,
    MatchCreatives,
    Node,
    Rank,
    Score,
    branches_of,
    in_run_order,
)
from kaireon_core.decisioning.node_words import node_words


class FlowStep(msgspec.Struct, frozen=True, kw_only=True):
    """One node; `path` is its JSON path, `depth` counts the branches around it, `branch` is `then`, `else` or null."""

    path: str
    id: str
    type: str
    phase: int
    depth: int
    branch: str | None
    text: str


class FlowExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes in run order, those of a branch behind their condition; `notes` say what happens without a node."""

    steps: list[FlowStep]
    notes: list[str]


def explain_flow(flow: Flow) -> FlowExplanation:
    """Return what the flow does, from its configuration alone."""
    return FlowExplanation(steps=list(_steps(flow.nodes, "$.nodes", 0, None)), notes=list(_notes(flow)))


def _steps(nodes: Sequence[AnyNode], path: str, depth: int, branch: str | None) -> Iterator[FlowStep]:
    places = {node.id: place for place, node in enumerate(nodes)}
    for node in in_run_order(nodes):
        here = f"{path}[{places[node.id]}]"
        yield FlowStep(
            path=here,
            id=node.id,
            type=node.type,
            phase=node.phase or node.phases[0],
            depth=depth,
            branch=branch,
            text=node_words(node.type, msgspec.to_builtins(node.config), _defaults(node)),
        )
        if isinstance(node, Conditional):
            for name, inner in branches_of(node):
                yield from _steps(inner, f"{here}.config.{name}", depth + 1, name)


def _defaults(node: AnyNode) -> dict[str, object]:
    """Return the configuration's fields that have a default, by wire name."""
    return {
        field.encode_name: msgspec.to_builtins(
            field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        )
        for field in msgspec.structs.fields(node.config)
        if not field.required
    }


# What is so where a flow lacks a type of node.
_WITHOUT: tuple[tuple[type[Node], str], ...] = (
    (Inventory, "no inventory node: this flow cannot be published"),
    (MatchCreatives, "no match_creatives node: each offer is one candidate, without creative and channel"),
    (Score, "no score node: scored by priority/100 x weight/100 x fit"),
    (Rank, "no rank node: ranked by score, then priority, then key"),
)


def _notes(flow: Flow) -> Iterator[str]:
    for type_, note in _WITHOUT:
        if not any(isinstance(node, type_) for _, node in flow.walk()):
            yield note
