"""The nodes that name another flow: its nodes in their place, put there before anything is compiled.

A call stands for those nodes of the called flow that belong to its own phase, in the order in which they run there, but
for its inventory and response. An extension point with a flow stands for those that do what its hook does; where they
include a score node, that one takes the place of the caller's. Ids stand behind the caller's: `<call>/<node>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from kaireon_core.decisioning.flow import (
    BRANCH_NODES,
    ONCE_NODES,
    AnyNode,
    CallFlow,
    Conditional,
    ExtensionPoint,
    Flow,
    Inventory,
    Response,
    Score,
    branches_of,
    in_run_order,
)
from kaireon_core.decisioning.flow_parts import ExtensionPointConfig, Hook
from kaireon_core.problems import InvalidValue, Problem

# Flows that call flows grow fast: this bounds what one decision runs.
MAX_NODES = 1000
MAX_DEPTH = 8
MAX_ID_LENGTH = 255
_HOOK_PHASES = {Hook.PRE_SCORE: 1, Hook.SCORE_OVERRIDE: 2, Hook.POST_RANK: 2}
_HOOK_NODES = {
    Hook.PRE_SCORE: "one that narrows the candidates",
    Hook.SCORE_OVERRIDE: "a score node or an extension point with this hook",
    Hook.POST_RANK: "an extension point with this hook",
}


def inline_calls(flow: Flow, live: Mapping[str, Flow], key: str = "", path: str = "$") -> Flow:
    """Return the flow without calls: each replaced by what it stands for. `live` are the published flows by key.

    Raises `InvalidValue` with the JSON path of every call of a flow that is not there, of one that leads back to this
    flow (`key`) or to itself, and of one whose nodes may not stand there.
    """
    calls = [(here, called) for here, node in flow.walk(path) if (called := _called_key(node)) is not None]
    if not calls:
        return flow
    problems = [problem for here, called in calls for problem in _name_problems(called, live, key, here)]
    if problems:
        raise InvalidValue(tuple(problems))
    inliner = _Inliner(live)
    nodes = inliner.nodes(_with_paths(flow.nodes, f"{path}.nodes"))
    problems = [*inliner.problems, *_repeated(nodes)]
    if problems:
        raise InvalidValue(tuple(problems))
    return replace(flow, nodes=[one.node for one in nodes])


def caller_problems(key: str, flow: Flow, live: Mapping[str, Flow]) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) of every published flow that could not run any more if `flow` were published as `key`."""
    changed = {**live, key: flow}
    for caller, other in live.items():
        if caller != key and key in _reached(other, live):
            try:
                inline_calls(other, changed, caller)
            except InvalidValue as error:
                yield caller, error.problems[0].message


def _reached(flow: Flow, live: Mapping[str, Flow]) -> set[str]:
    """Return the keys of all flows that a flow leads to."""
    reached, new = set[str](), set(called_by(flow))
    while new:
        reached |= new
        new = {called for name in new if name in live for called in called_by(live[name])} - reached
    return reached


def called_by(flow: Flow) -> list[str]:
    """Return the keys of the flows that a flow calls itself."""
    return [called for _, node in flow.walk() if (called := _called_key(node))]


def _called_key(node: AnyNode) -> str | None:
    """Return the key of the flow that a node calls: None if it calls none, empty if a call names none yet."""
    match node:
        case CallFlow(config=config):
            return config.flow_key or ""
        case ExtensionPoint(config=config):
            return config.flow_key
        case _:
            return None


def phase_of(node: AnyNode) -> int:
    """Return the phase for which a call takes a node; of an extension point it may be its hook's."""
    if isinstance(node, ExtensionPoint) and node.phase is None:
        return _HOOK_PHASES[node.config.hook]
    return _phase_here(node)


def _name_problems(called: str, live: Mapping[str, Flow], key: str, path: str) -> Iterator[Problem]:
    """Yield why the flow that a call names cannot be called: the first thing found on the way down."""
    here, names = f"{path}.config.flowKey", dict.fromkeys([called] if called else [])
    callers = dict[str, str]()
    for _ in range(MAX_DEPTH):
        for name in names:
            if name == key:
                trail = " -> ".join(_trail(name, callers, key))
                yield Problem(path=here, message=f"flows may not call each other in a circle: {trail}")
                return
            if name not in live:
                yield Problem(path=here, message=f"there is no published flow '{name}'")
                return
        below = [(called, name) for name in names for called in called_by(live[name])]
        callers |= {called: name for called, name in below if called not in callers}
        names = dict.fromkeys(called for called, _ in below)
    if names:
        yield Problem(path=here, message=f"calls lead more than {MAX_DEPTH} flows deep, or in a circle")


def _trail(name: str, callers: Mapping[str, str], key: str) -> list[str]:
    """Return the keys of the flows from `key` down to the call that leads back to it."""
    trail = [name]
    while (caller := callers.get(trail[0])) is not None and len(trail) <= MAX_DEPTH:
        trail.insert(0, caller)
    return [key, *trail]


class _Placed(NamedTuple):
    """A node, where the flow that is inlined says that it stands, and whether a hook has put it there."""

    path: str
    node: AnyNode
    is_hooked: bool = False


@dataclass(slots=True)
class _Inliner:
    """Replaces calls; it has been made sure that they end."""

    live: Mapping[str, Flow]
    problems: list[Problem] = field(default_factory=list[Problem])
    count: int = 0

    def nodes(self, placed: Sequence[_Placed]) -> list[_Placed]:
        """Return the nodes in the order in which they run, each with its phase and without a position."""
        found = [
            one._replace(node=replace(one.node, phase=_phase_here(node), position=None))
            for path, node, _ in _hooked_last(placed)
            for one in self._in_place_of(node, path, _phase_here(node))
        ]
        return _with_hooked_score(found)

    def _in_place_of(self, node: AnyNode, path: str, phase: int) -> list[_Placed]:
        """Return what stands for a node: itself, unless it calls or has branches."""
        if isinstance(node, Conditional):
            return [_Placed(path, self._branched(node, path))]
        return self._at(node, phase, path if _called_key(node) is None else f"{path}.config.flowKey")

    def _hooked(self, node: ExtensionPoint, path: str) -> list[AnyNode]:
        """Return the nodes that a flow does at a hook; one that does nothing there is a problem."""
        hook = node.config.hook
        found = [one for one in self._called(node, _HOOK_PHASES[hook], path) if _is_of_hook(one, hook)]
        if not found:
            message = f"the flow '{node.config.flow_key}' has no node for the hook {hook}: {_HOOK_NODES[hook]}"
            self.problems.append(Problem(path=path, message=message))
        return found

    def _branched(self, node: Conditional, path: str) -> Conditional:
        then, otherwise = (
            [
                replace(one.node, position=None)
                for here, inner, _ in _with_paths(branch, f"{path}.config.{name}")
                for one in self._in_place_of(inner, here, 1)
                if self._may_stand_in_branch(one.node, one.path)
            ]
            for name, branch in branches_of(node)
        )
        return replace(node, config=replace(node.config, then=then, else_=otherwise))

    def _may_stand_in_branch(self, node: AnyNode, path: str) -> bool:
        if isinstance(node, BRANCH_NODES):
            return True
        self.problems.append(
            Problem(path=path, message=f"a branch may not hold the {node.type} node of the called flow")
        )
        return False

    def _called(self, call: CallFlow | ExtensionPoint, phase: int, path: str) -> list[AnyNode]:
        """Return the nodes that a call stands for; problems in it are problems of the call."""
        flow, found = self.live.get(_called_key(call) or "", Flow()), list[_Placed]()
        for _, node, _ in _hooked_last([_Placed(path, node) for node in flow.ordered()]):
            if not _belongs(node, call, phase):
                continue
            self.count += 1
            if self.count > MAX_NODES:
                if self.count == MAX_NODES + 1:
                    self.problems.append(Problem(path=path, message=f"calls lead to more than {MAX_NODES} nodes"))
                break
            found += [one._replace(node=_named_behind(call.id, one.node)) for one in self._at(node, phase, path)]
        return [one.node for one in _with_hooked_score(found)]

    def _at(self, node: AnyNode, phase: int, path: str) -> list[_Placed]:
        """Return what stands for a node of a called flow, all in the place of the outermost call."""
        match node:
            case CallFlow():
                return [_Placed(path, one) for one in self._called(node, phase, path)]
            case ExtensionPoint(config=ExtensionPointConfig(flow_key=str())):
                return [_Placed(path, one, is_hooked=True) for one in self._hooked(node, path)]
            case Conditional():
                then, otherwise = (
                    [
                        inner.node
                        for one in in_run_order(branch)
                        for inner in self._at(one, 1, path)
                        if self._may_stand_in_branch(inner.node, path)
                    ]
                    for _, branch in branches_of(node)
                )
                return [_Placed(path, replace(node, config=replace(node.config, then=then, else_=otherwise)))]
            case _:
                return [_Placed(path, node)]


def _phase_here(node: AnyNode) -> int:
    """Return the phase in which what stands for a node runs: that of its hook for a flow that is hooked in."""
    if isinstance(node, ExtensionPoint) and node.config.flow_key is not None:
        return _HOOK_PHASES[node.config.hook]
    return node.phase or node.phases[0]


def _belongs(node: AnyNode, call: CallFlow | ExtensionPoint, phase: int) -> bool:
    """Return whether a call in this phase takes a node; a hook takes all extension points with it."""
    if isinstance(node, ExtensionPoint) and isinstance(call, ExtensionPoint):
        return node.config.hook is call.config.hook
    return phase_of(node) == phase and not isinstance(node, (Inventory, Response))


def _is_of_hook(node: AnyNode, hook: Hook) -> bool:
    """Return whether a node does what a hook does: every one that narrows, or one that scores, or masks the ranking."""
    if isinstance(node, ExtensionPoint):
        return node.config.hook is hook and node.config.formula is not None
    return isinstance(node, {Hook.PRE_SCORE: BRANCH_NODES, Hook.SCORE_OVERRIDE: Score, Hook.POST_RANK: ()}[hook])


def _hooked_last(placed: Sequence[_Placed]) -> list[_Placed]:
    """Return nodes with the flows that are hooked in before the score behind all else: they narrow last."""
    return sorted(placed, key=lambda one: _is_hooked_before_score(one.node))


def _is_hooked_before_score(node: AnyNode) -> bool:
    match node:
        case ExtensionPoint(config=ExtensionPointConfig(hook=Hook.PRE_SCORE, flow_key=str())):
            return True
        case _:
            return False


def _with_hooked_score(placed: Sequence[_Placed]) -> list[_Placed]:
    """Return the nodes without the score node of the flow itself where a hook has put another one."""
    is_replaced = any(one.is_hooked and isinstance(one.node, Score) for one in placed)
    return [one for one in placed if one.is_hooked or not (is_replaced and isinstance(one.node, Score))]


def _with_paths(nodes: Sequence[AnyNode], path: str) -> list[_Placed]:
    """Return nodes in run order, each with its JSON path as it is written."""
    places = {id(node): f"{path}[{index}]" for index, node in enumerate(nodes)}
    return [_Placed(places[id(node)], node) for node in in_run_order(nodes)]


def _named_behind(call: str, node: AnyNode) -> AnyNode:
    """Return a node, and those in its branches, with ids behind the call's, as long as an id may be."""
    named = replace(node, id=f"{call}/{node.id}"[-MAX_ID_LENGTH:])
    if not isinstance(named, Conditional):
        return named
    then, otherwise = ([_named_behind(call, one) for one in branch] for _, branch in branches_of(named))
    return replace(named, config=replace(named.config, then=then, else_=otherwise))


def _repeated(nodes: Sequence[_Placed]) -> Iterator[Problem]:
    """Yield the nodes that a flow has once, but this one would have twice."""
    for type_ in ONCE_NODES:
        found = [one.path for one in nodes if isinstance(one.node, type_)]
        # What was written as a node of its own stands; a call that brings another one is at fault.
        faulty = [path for path in found if path.endswith(".flowKey")] or found
        name = type_.__struct_config__.tag
        for path in faulty[-(len(found) - 1) :] if len(found) > 1 else ():
            yield Problem(path=path, message=f"with the called flow there would be more than one {name} node")
