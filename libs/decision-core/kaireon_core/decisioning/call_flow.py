"""The call_flow node: another flow's nodes in its place, put there before anything is compiled.

A call stands for those nodes of the called flow that belong to its own phase, in the order in which they run there, but
for its inventory and response. Their ids stand behind the call's: `<call>/<node>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from kaireon_core.decisioning.flow import (
    BRANCH_NODES,
    ONCE_NODES,
    AnyNode,
    CallFlow,
    Conditional,
    ExtensionPoint,
    Flow,
    Hook,
    Inventory,
    Response,
    branches_of,
    in_run_order,
)
from kaireon_core.problems import InvalidValue, Problem

# Flows that call flows grow fast: this bounds what one decision runs.
MAX_NODES = 1000
MAX_DEPTH = 8
MAX_ID_LENGTH = 255
_HOOK_PHASES = {Hook.PRE_SCORE: 1, Hook.SCORE_OVERRIDE: 2, Hook.POST_RANK: 2}


def inline_calls(flow: Flow, live: Mapping[str, Flow], key: str = "", path: str = "$") -> Flow:
    """Return the flow without calls: each replaced by what it stands for. `live` are the published flows by key.

    Raises `InvalidValue` with the JSON path of every call of a flow that is not there, of one that leads back to this
    flow (`key`) or to itself, and of one whose nodes may not stand there.
    """
    calls = [(here, node) for here, node in flow.walk(path) if isinstance(node, CallFlow)]
    if not calls:
        return flow
    problems = [problem for here, node in calls for problem in _name_problems(node, live, key, here)]
    if problems:
        raise InvalidValue(tuple(problems))
    inliner = _Inliner(live)
    nodes = inliner.nodes(_with_paths(flow.nodes, f"{path}.nodes"))
    problems = [*inliner.problems, *_repeated(nodes)]
    if problems:
        raise InvalidValue(tuple(problems))
    return replace(flow, nodes=[node for _, node in nodes])


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
    return [node.config.flow_key for _, node in flow.walk() if isinstance(node, CallFlow) and node.config.flow_key]


def phase_of(node: AnyNode) -> int:
    """Return the phase for which a call takes a node; an extension point without one goes by its hook."""
    if node.phase is None and isinstance(node, ExtensionPoint):
        return _HOOK_PHASES[node.config.hook]
    return node.phase or node.phases[0]


def _name_problems(node: CallFlow, live: Mapping[str, Flow], key: str, path: str) -> Iterator[Problem]:
    """Yield why the flow that a call names cannot be called: the first thing found on the way down."""
    here, names = f"{path}.config.flowKey", dict.fromkeys([node.config.flow_key] if node.config.flow_key else [])
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


# A node, and where the flow that is inlined says that it stands.
_Placed = tuple[str, AnyNode]


@dataclass(slots=True)
class _Inliner:
    """Replaces calls; it has been made sure that they end."""

    live: Mapping[str, Flow]
    problems: list[Problem] = field(default_factory=list[Problem])
    count: int = 0

    def nodes(self, placed: Sequence[_Placed]) -> list[_Placed]:
        """Return the nodes in the order in which they run, each with its phase and without a position."""
        return [
            (path, replace(one, phase=node.phase or node.phases[0], position=None))
            for path, node in placed
            for path, one in self._in_place_of(node, path, node.phase or node.phases[0])
        ]

    def _in_place_of(self, node: AnyNode, path: str, phase: int) -> list[_Placed]:
        """Return what stands for a node: itself, unless it is a call or has branches."""
        if isinstance(node, CallFlow):
            called = f"{path}.config.flowKey"
            return [(called, one) for one in self._called(node, phase, called)]
        if isinstance(node, Conditional):
            return [(path, self._branched(node, path))]
        return [(path, node)]

    def _branched(self, node: Conditional, path: str) -> Conditional:
        then, otherwise = (
            [
                replace(one, position=None)
                for here, inner in _with_paths(branch, f"{path}.config.{name}")
                for here, one in self._in_place_of(inner, here, 1)
                if self._may_stand_in_branch(one, here)
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

    def _called(self, call: CallFlow, phase: int, path: str) -> list[AnyNode]:
        """Return the nodes that a call stands for; problems in it are problems of the call."""
        flow = self.live.get(call.config.flow_key or "", Flow())
        found = list[AnyNode]()
        for node in flow.ordered():
            if phase_of(node) != phase or isinstance(node, (Inventory, Response)):
                continue
            self.count += 1
            if self.count > MAX_NODES:
                if self.count == MAX_NODES + 1:
                    self.problems.append(Problem(path=path, message=f"calls lead to more than {MAX_NODES} nodes"))
                return found
            inner = self._called(node, phase, path) if isinstance(node, CallFlow) else [self._at(node, path)]
            found += [_named_behind(call.id, one) for one in inner]
        return found

    def _at(self, node: AnyNode, path: str) -> AnyNode:
        """Return a node of a called flow with the calls in its branches replaced."""
        if not isinstance(node, Conditional):
            return node
        then, otherwise = (
            [
                inner
                for one in in_run_order(branch)
                for inner in (self._called(one, 1, path) if isinstance(one, CallFlow) else [self._at(one, path)])
                if self._may_stand_in_branch(inner, path)
            ]
            for _, branch in branches_of(node)
        )
        return replace(node, config=replace(node.config, then=then, else_=otherwise))


def _with_paths(nodes: Sequence[AnyNode], path: str) -> list[_Placed]:
    """Return nodes in run order, each with its JSON path as it is written."""
    places = {id(node): f"{path}[{index}]" for index, node in enumerate(nodes)}
    return [(places[id(node)], node) for node in in_run_order(nodes)]


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
        found = [path for path, node in nodes if isinstance(node, type_)]
        # What was written as a node of its own stands; a call that brings another one is at fault.
        faulty = [path for path in found if path.endswith(".flowKey")] or found
        name = type_.__struct_config__.tag
        for path in faulty[-(len(found) - 1) :] if len(found) > 1 else ():
            yield Problem(path=path, message=f"with the called flow there would be more than one {name} node")
