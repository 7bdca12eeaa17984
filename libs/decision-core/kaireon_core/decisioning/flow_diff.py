"""What differs between two flows, node by node: written forms that mean the same are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, cast

import msgspec

from kaireon_core.decisioning.flow import AnyNode, Conditional, Flow, branches_of, in_run_order


class ChangeKind(StrEnum):
    """What became of a part."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


class FlowChange(msgspec.Struct, frozen=True, kw_only=True):
    """One difference; `path` names nodes by their id. `before` and `after` are null where there is nothing."""

    path: str
    kind: ChangeKind
    before: Any = None
    after: Any = None


def diff_flows(before: Flow, after: Flow) -> list[FlowChange]:
    """Return the differences in the order of the paths; none for flows that decide the same way."""
    changes = [
        *_nodes(before.nodes, after.nodes, "$.nodes"),
        *_values(before.flow_config, after.flow_config, "$.flowConfig"),
    ]
    return sorted(changes, key=lambda change: change.path)


def _nodes(before: list[AnyNode], after: list[AnyNode], path: str) -> Iterator[FlowChange]:
    olds, news = ({node.id: node for node in in_run_order(nodes)} for nodes in (before, after))
    for id_ in olds.keys() | news.keys():
        here, old, new = f"{path}[{id_}]", olds.get(id_), news.get(id_)
        if old is None or new is None or type(old) is not type(new):
            kind = ChangeKind.ADDED if old is None else ChangeKind.REMOVED if new is None else ChangeKind.CHANGED
            yield FlowChange(path=here, kind=kind, before=_written(old), after=_written(new))
        else:
            yield from _node(old, new, here)
    kept = [[id_ for id_ in side if id_ in olds and id_ in news] for side in (olds, news)]
    if kept[0] != kept[1]:
        yield FlowChange(path=path, kind=ChangeKind.MOVED, before=kept[0], after=kept[1])


def _node(old: AnyNode, new: AnyNode, path: str) -> Iterator[FlowChange]:
    yield from _values(_own(old), _own(new), path)
    if isinstance(old, Conditional) and isinstance(new, Conditional):
        for (name, mine), (_, theirs) in zip(branches_of(old), branches_of(new), strict=True):
            yield from _nodes(mine, theirs, f"{path}.config.{name}")


def _written(node: AnyNode | None) -> Any:
    return None if node is None else msgspec.to_builtins(node)


def _own(node: AnyNode) -> dict[str, Any]:
    """Return what a node says but for its place, which shows in the order, and its branches, which are nodes."""
    written: dict[str, Any] = msgspec.to_builtins(node)
    written["position"] = None
    written["phase"] = node.phase or node.phases[0]
    if isinstance(node, Conditional):
        written["config"] = {**written["config"], "then": None, "else": None}
    return written


def _values(old: object, new: object, path: str) -> Iterator[FlowChange]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        mine, theirs = cast("Mapping[str, object]", old), cast("Mapping[str, object]", new)
        for name in mine.keys() | theirs.keys():
            here = f"{path}.{name}"
            if name not in mine:
                yield FlowChange(path=here, kind=ChangeKind.ADDED, after=theirs[name])
            elif name not in theirs:
                yield FlowChange(path=here, kind=ChangeKind.REMOVED, before=mine[name])
            else:
                yield from _values(mine[name], theirs[name], here)
    elif msgspec.json.encode(old, order="deterministic") != msgspec.json.encode(new, order="deterministic"):
        yield FlowChange(path=path, kind=ChangeKind.CHANGED, before=old, after=new)
