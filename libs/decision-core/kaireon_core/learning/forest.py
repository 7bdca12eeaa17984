"""Trees that somebody else has grown: read from LightGBM's model text or its JSON dump, checked, and written anew.

LightGBM ends the process on a text that is not sound, so that it only ever reads what is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgspec

from kaireon_core.problems import InvalidValue, Problem

MOST_TREES = 10_000
MOST_NODES = 1_000_000
DEEPEST = 200
_MOST_CATEGORY = 100_000
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_NAN = 1, 2, 8


class ForestLeaf(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a path: what it adds to the log-odds, and how many training rows ended there."""

    value: float
    count: float = 1.0


class ForestSplit(msgspec.Struct, frozen=True, kw_only=True):
    """A question about a feature: left when it is at most `threshold`, or one of `categories` where these are given."""

    feature: int
    threshold: float
    is_missing_left: bool
    categories: tuple[int, ...] | None
    left: ForestNode
    right: ForestNode


ForestNode: TypeAlias = ForestSplit | ForestLeaf


class Forest(msgspec.Struct, frozen=True, kw_only=True):
    """Trees over named features; the log-odds are the sum of the leaves that a row ends in."""

    names: tuple[str, ...]
    trees: tuple[ForestNode, ...]

    @property
    def categorical(self) -> frozenset[int]:
        """The features that are split by membership."""
        return frozenset(
            node.feature
            for tree in self.trees
            for node in _nodes(tree)
            if isinstance(node, ForestSplit) and node.categories is not None
        )


def read_dump(dump: Mapping[str, Any] | Sequence[Any], path: str) -> Forest:
    """Return the forest of what `Booster.dump_model()` gives, or of its `tree_info` alone. Raises `InvalidValue`."""
    whole: Mapping[str, Any] = dump if isinstance(dump, Mapping) else {"tree_info": dump}
    trees: Any = whole.get("tree_info")
    if not isinstance(trees, list):
        raise refused(f"{path}.tree_info", "must be a list of trees")
    if whole.get("num_tree_per_iteration", 1) != 1 or whole.get("average_output", False):
        raise refused(path, "only trees of a binary objective, added up, can be scored")
    infos = cast("list[Any]", trees)
    prefix = f"{path}.tree_info" if isinstance(dump, Mapping) else path
    reader = _DumpReader(_names(whole.get("feature_names"), f"{path}.feature_names"))
    if len(infos) > MOST_TREES:
        raise refused(prefix, f"at most {MOST_TREES} trees")
    read = [reader.tree(info, f"{prefix}[{number}]") for number, info in enumerate(infos)]
    return Forest(names=tuple(reader.names), trees=tuple(read))


def _names(given: Any, path: str) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(name, str) and name for name in cast("list[Any]", given)):
        raise refused(path, "must be a list of names")
    return list(cast("list[str]", given))


class _DumpReader:
    """Reads nodes one by one; features that are named and not known yet are added."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._is_closed = bool(names)
        self._nodes = 0

    def tree(self, info: Any, path: str) -> ForestNode:
        if isinstance(info, Mapping) and "tree_structure" in info:
            return self._node(cast("Mapping[str, Any]", info)["tree_structure"], f"{path}.tree_structure", 0)
        return self._node(info, path, 0)

    def _node(self, given: Any, path: str, depth: int) -> ForestNode:
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > DEEPEST:
            raise refused(path, f"at most {MOST_NODES} nodes, {DEEPEST} deep")
        if not isinstance(given, Mapping):
            raise refused(path, "must be a split or a leaf")
        node = cast("Mapping[str, Any]", given)
        if "leaf_coeff" in node:
            raise refused(path, "linear leaves cannot be scored")
        if "leaf_value" in node:
            value = _number(node["leaf_value"], f"{path}.leaf_value")
            return ForestLeaf(value=value, count=_number(node.get("leaf_count", 1), f"{path}.leaf_count"))
        threshold, categories = self._question(node, path)
        return ForestSplit(
            feature=self._feature(node.get("split_feature"), f"{path}.split_feature"),
            threshold=threshold,
            is_missing_left=_missing_left(node, threshold, path),
            categories=categories,
            left=self._node(node.get("left_child"), f"{path}.left_child", depth + 1),
            right=self._node(node.get("right_child"), f"{path}.right_child", depth + 1),
        )

    def _feature(self, given: Any, path: str) -> int:
        if isinstance(given, str) and given and not self._is_closed and given not in self.names:
            self.names.append(given)
        if isinstance(given, str) and given in self.names:
            return self.names.index(given)
        if type(given) is int and 0 <= given < len(self.names):
            return given
        raise refused(path, "names no feature; give feature_names, or split_feature as a name")

    def _question(self, node: Mapping[str, Any], path: str) -> tuple[float, tuple[int, ...] | None]:
        kind, threshold = node.get("decision_type", "<="), node.get("threshold")
        if kind == "<=":
            return _number(threshold, f"{path}.threshold"), None
        if kind != "==" or not isinstance(threshold, str | int):
            raise refused(f"{path}.decision_type", 'must be "<=" with a number, or "==" with codes such as "1||3"')
        codes = str(threshold).split("||")
        if not all(code.isdecimal() and int(code) <= _MOST_CATEGORY for code in codes):
            raise refused(f"{path}.threshold", f"must be codes from 0 to {_MOST_CATEGORY}")
        return 0.0, tuple(sorted({int(code) for code in codes}))


def _missing_left(node: Mapping[str, Any], threshold: float, path: str) -> bool:
    """Return where a missing number goes; trees that have never seen one take it for 0."""
    kind = node.get("missing_type", "NaN")
    if kind == "None":
        return threshold >= 0
    if kind != "NaN":
        raise refused(f"{path}.missing_type", 'must be "NaN" or "None"')
    return node.get("default_left", False) is True


def _number(given: Any, path: str) -> float:
    if type(given) not in (int, float) or not abs(given) <= 1e300:  # noqa: PLR2004 - what LightGBM keeps finite
        raise refused(path, "must be a finite number")
    return float(given)


def refused(path: str, message: str) -> InvalidValue:
    """Return the error of one problem."""
    return InvalidValue((Problem(path=path, message=message),))


def _nodes(node: ForestNode) -> Iterator[ForestNode]:
    yield node
    if isinstance(node, ForestSplit):
        yield from _nodes(node.left)
        yield from _nodes(node.right)


def write_text(forest: Forest) -> str:
    """Return the forest as the text that LightGBM reads; its features are called f0, f1, ... there."""
    head = [
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={len(forest.names) - 1}",
        "objective=binary sigmoid:1",
        "feature_names=" + " ".join(f"f{place}" for place in range(len(forest.names))),
        "feature_infos=" + " ".join(_infos(forest)),
    ]
    trees = [f"Tree={number}\n" + _tree_text(tree) + "\n\n" for number, tree in enumerate(forest.trees)]
    sizes = "tree_sizes=" + " ".join(str(len(tree)) for tree in trees)
    return "\n".join([*head, sizes, "", ""]) + "".join(trees) + "end of trees\n\nparameters:\nend of parameters\n"


def _infos(forest: Forest) -> list[str]:
    """Return what LightGBM keeps of each feature's values: everything, as the trees alone decide."""
    codes: dict[int, set[int]] = {place: {0} for place in forest.categorical}
    for tree in forest.trees:
        for node in _nodes(tree):
            if isinstance(node, ForestSplit) and node.categories is not None:
                codes[node.feature].update(node.categories)
    return [
        ":".join(str(code) for code in sorted(codes[place])) if place in codes else "[-1e+300:1e+300]"
        for place in range(len(forest.names))
    ]


def _tree_text(tree: ForestNode) -> str:
    splits = [node for node in _nodes(tree) if isinstance(node, ForestSplit)]
    leaves = [node for node in _nodes(tree) if isinstance(node, ForestLeaf)]
    # By identity: equal leaves are different places.
    places = {id(node): place for place, node in enumerate(splits)}
    places |= {id(node): ~place for place, node in enumerate(leaves)}
    named = [split.categories for split in splits if split.categories is not None]
    lines: dict[str, Sequence[object]] = {"num_leaves": [len(leaves)], "num_cat": [len(named)]}
    if splits:
        codes = iter(range(len(named)))
        lines |= {
            "split_feature": [split.feature for split in splits],
            "split_gain": [0] * len(splits),
            "threshold": [repr(split.threshold) if split.categories is None else next(codes) for split in splits],
            "decision_type": [_decision_type(split) for split in splits],
            "left_child": [places[id(split.left)] for split in splits],
            "right_child": [places[id(split.right)] for split in splits],
        }
    lines |= {
        "leaf_value": [repr(leaf.value) for leaf in leaves],
        "leaf_weight": [repr(leaf.count) for leaf in leaves],
        "leaf_count": [max(1, round(leaf.count)) for leaf in leaves],
    }
    if splits:
        lines |= {
            "internal_value": [0] * len(splits),
            "internal_weight": [repr(_count(split)) for split in splits],
            "internal_count": [round(_count(split)) for split in splits],
        }
    if named:
        sets = [_bits(categories) for categories in named]
        ends = [sum(map(len, sets[:end])) for end in range(len(sets) + 1)]
        lines |= {"cat_boundaries": ends, "cat_threshold": [word for words in sets for word in words]}
    lines |= {"is_linear": [0], "shrinkage": [1]}
    return "\n".join(f"{name}=" + " ".join(map(str, values)) for name, values in lines.items()) + "\n"


def _decision_type(split: ForestSplit) -> int:
    if split.categories is not None:
        return _CATEGORICAL | _MISSING_NAN
    return _MISSING_NAN | (_DEFAULT_LEFT if split.is_missing_left else 0)


def _count(node: ForestNode) -> float:
    return sum(max(1, round(leaf.count)) for leaf in _nodes(node) if isinstance(leaf, ForestLeaf))


def _bits(categories: Sequence[int]) -> list[int]:
    words = [0] * (max(categories) // 32 + 1)
    for code in categories:
        words[code // 32] |= 1 << code % 32
    return words
