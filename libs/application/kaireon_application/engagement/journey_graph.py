"""A journey's graph: what is wrong with one, and where each node leads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from kaireon_application.engagement.condition import condition_problems
from kaireon_application.engagement.journey_node import (
    ChannelAction,
    ConditionSplit,
    Definition,
    Edge,
    EntryTrigger,
    Exit,
    NbaDecision,
    Node,
    Wait,
)
from kaireon_core.formula.cells import Formula
from kaireon_core.formula.syntax import FormulaError
from kaireon_core.problems import Problem

_SIDES = ("true", "false")


@dataclass(frozen=True)
class Graph:
    """A definition, looked at as a graph."""

    definition: Definition

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by id."""
        return {node.id: node for node in self.definition.nodes}

    @cached_property
    def entry(self) -> EntryTrigger | None:
        """Where enrolments begin, None in an empty graph."""
        return next((node for node in self.definition.nodes if isinstance(node, EntryTrigger)), None)

    @cached_property
    def _leaving(self) -> Mapping[str, Sequence[Edge]]:
        return {id_: [edge for edge in self.definition.edges if edge.source == id_] for id_ in self.nodes}

    def after(self, node_id: str, side: str | None = None) -> str | None:
        """Return the node that comes next, None where the journey ends."""
        edges = self._leaving.get(node_id, ())
        return next((edge.target for edge in edges if side is None or edge.side == side), None)

    def reachable(self) -> set[str]:
        """Return the nodes that an enrolment can come to."""
        found, left = set[str](), [self.entry.id] if self.entry else []
        while left:
            id_ = left.pop()
            if id_ not in found:
                found.add(id_)
                left += [edge.target for edge in self._leaving.get(id_, ())]
        return found

    def circle_without_wait(self) -> str | None:
        """Return a node of a circle that nothing holds up, None without one."""
        ahead = {
            id_: {edge.target for edge in edges if edge.target in self.nodes}
            for id_, edges in self._leaving.items()
            if not isinstance(self.nodes[id_], Wait)
        }
        while off := [id_ for id_, targets in ahead.items() if not _is_within(id_, targets, ahead)]:
            ahead = {id_: targets for id_, targets in ahead.items() if id_ not in off}
        return min(ahead, default=None)


def _is_within(id_: str, targets: set[str], ahead: Mapping[str, set[str]]) -> bool:
    """Return whether something leads to a node, and it leads somewhere: what is on a circle never stops to."""
    return not targets.isdisjoint(ahead) and any(id_ in others for others in ahead.values())


def graph_of(body: Mapping[str, Any]) -> Graph:
    """Return the graph of a stored journey."""
    return Graph(msgspec.convert(body["definition"], Definition))


def graph_problems(graph: Graph, path: str) -> Iterator[Problem]:
    """Yield everything that is wrong with a graph, each with its JSON path."""
    broken = [*_id_problems(graph, path), *_entry_problems(graph, path), *_edge_problems(graph, path)]
    yield from broken
    for place, node in enumerate(graph.definition.nodes):
        yield from _node_problems(graph, node, f"{path}.nodes[{place}]")
    if broken or graph.entry is None:
        return
    reachable, stuck = graph.reachable(), graph.circle_without_wait()
    for place, node in enumerate(graph.definition.nodes):
        if node.id not in reachable:
            yield Problem(path=f"{path}.nodes[{place}]", message="cannot be reached from the entry")
        elif node.id == stuck:
            yield Problem(path=f"{path}.nodes[{place}]", message="is on a circle without a wait")


def _id_problems(graph: Graph, path: str) -> Iterator[Problem]:
    seen = set[str]()
    for place, node in enumerate(graph.definition.nodes):
        if node.id in seen:
            yield Problem(path=f"{path}.nodes[{place}].id", message=f"{node.id} stands here twice")
        seen.add(node.id)


def _entry_problems(graph: Graph, path: str) -> Iterator[Problem]:
    entries = [place for place, node in enumerate(graph.definition.nodes) if isinstance(node, EntryTrigger)]
    if graph.definition.nodes and not entries:
        yield Problem(path=f"{path}.nodes", message="must have a node of type entry_trigger")
    for place in entries[1:]:
        yield Problem(path=f"{path}.nodes[{place}]", message="is a second entry_trigger; a journey has one")


def _edge_problems(graph: Graph, path: str) -> Iterator[Problem]:
    for place, edge in enumerate(graph.definition.edges):
        here = f"{path}.edges[{place}]"
        for end, id_ in (("source", edge.source), ("target", edge.target)):
            if id_ not in graph.nodes:
                yield Problem(path=f"{here}.{end}", message=f"there is no node {id_}")
        source = graph.nodes.get(edge.source)
        if isinstance(source, Exit):
            yield Problem(path=f"{here}.source", message="is an exit, which nothing leaves")
        if isinstance(graph.nodes.get(edge.target), EntryTrigger):
            yield Problem(path=f"{here}.target", message="is the entry, which nothing leads to")
        if isinstance(source, ConditionSplit) and edge.side is None:
            yield Problem(path=f"{here}.label", message="must be true or false: it leaves a condition_split")


def _node_problems(graph: Graph, node: Node, here: str) -> Iterator[Problem]:
    edges = [edge for edge in graph.definition.edges if edge.source == node.id]
    if isinstance(node, ConditionSplit):
        for side in _SIDES:
            if sum(edge.side == side for edge in edges) != 1:
                yield Problem(path=here, message=f"must have exactly one edge labelled {side}")
    elif len(edges) > 1:
        yield Problem(path=here, message="must have at most one edge that leaves it")
    if isinstance(node, Wait) and node.config.delay_hours is None and node.config.wait_for_event is None:
        yield Problem(path=f"{here}.config", message="must have delayHours, waitForEvent or both")
    if isinstance(node, ChannelAction):
        yield from _action_problems(graph, node, here)
    if isinstance(node, EntryTrigger | ConditionSplit):
        yield from condition_problems(node.config.condition, f"{here}.config.condition")
    if isinstance(node, ConditionSplit):
        yield from _formula_problems(node, here)


def _action_problems(graph: Graph, node: ChannelAction, here: str) -> Iterator[Problem]:
    wanted = node.config.from_decision
    stored = {one.config.store_result_as or one.id for one in graph.definition.nodes if isinstance(one, NbaDecision)}
    if wanted is not None and wanted not in stored:
        yield Problem(path=f"{here}.config.fromDecision", message=f"no nba_decision keeps a result as {wanted}")
    if wanted is not None and node.config.creative_id is not None:
        yield Problem(path=f"{here}.config.creativeId", message="send either creativeId or fromDecision")


def _formula_problems(node: ConditionSplit, here: str) -> Iterator[Problem]:
    if node.config.formula is None:
        if not node.config.condition:
            yield Problem(path=f"{here}.config", message="must have a condition or a formula")
        return
    if node.config.condition:
        yield Problem(path=f"{here}.config.formula", message="send either condition or formula")
    try:
        Formula.of(node.config.formula)
    except FormulaError as error:
        yield Problem(path=f"{here}.config.formula", message=str(error))
