"""Reading LightGBM's model text, line by line, without believing any of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kaireon_core.learning.forest import (
    DEEPEST,
    MOST_NODES,
    MOST_TREES,
    Forest,
    ForestLeaf,
    ForestNode,
    ForestSplit,
    refused,
)

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO = 0, 1
_WORD_BITS = 32


def read_text(text: str, path: str) -> Forest:
    """Return the forest of a model text. Raises `InvalidValue` with what is wrong, and in which tree."""
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    header = _values(head)
    if not head.startswith("tree") or "feature_names" not in header or "\nend of trees" not in text:
        raise refused(path, "must be the whole text of a LightGBM model, from `tree` to `end of trees`")
    if header.get("num_tree_per_iteration", "1") != "1" or "average_output" in head.splitlines():
        raise refused(path, "only trees of a binary objective, added up, can be scored")
    if len(blocks) > MOST_TREES:
        raise refused(path, f"at most {MOST_TREES} trees")
    names = tuple(header["feature_names"].split())
    trees = [_tree(_values(block), len(names), f"{path}: tree {number}") for number, block in enumerate(blocks)]
    return Forest(names=names, trees=tuple(trees))


def _values(block: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in block.splitlines())}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The arrays of one tree; all of `splits` have one entry per split, those of `leaves` one per leaf."""

    features: list[int]
    thresholds: list[float]
    kinds: list[int]
    lefts: list[int]
    rights: list[int]
    leaf_values: list[float]
    leaf_counts: list[float]
    boundaries: list[int]
    words: list[int]
    path: str

    def node(self, place: int, seen: set[int], depth: int) -> ForestNode:
        """Return the node at a place: a split from 0, a leaf from -1 downwards."""
        if depth > DEEPEST or len(seen) > MOST_NODES:
            raise refused(self.path, f"is too large or more than {DEEPEST} deep")
        inside = -len(self.leaf_values) <= place < len(self.features)
        if not inside or place in seen:
            raise refused(self.path, f"leads to node {place}, which is none or has been met already")
        seen.add(place)
        if place < 0:
            return ForestLeaf(value=self.leaf_values[~place], count=self.leaf_counts[~place])
        kind, threshold = self.kinds[place], self.thresholds[place]
        is_categorical = bool(kind & _CATEGORICAL)
        return ForestSplit(
            feature=self.features[place],
            threshold=0.0 if is_categorical else threshold,
            is_missing_left=self._is_missing_left(kind, threshold),
            categories=self._codes(threshold) if is_categorical else None,
            left=self.node(self.lefts[place], seen, depth + 1),
            right=self.node(self.rights[place], seen, depth + 1),
        )

    def _is_missing_left(self, kind: int, threshold: float) -> bool:
        missing = kind >> 2 & 3
        if missing == _MISSING_ZERO:
            raise refused(self.path, "takes 0 for missing, which cannot be scored")
        return threshold >= 0 if missing == _MISSING_NONE else bool(kind & _DEFAULT_LEFT)

    def _codes(self, threshold: float) -> tuple[int, ...]:
        number = int(threshold)
        if not 0 <= number < len(self.boundaries) - 1:
            raise refused(self.path, "has a categorical split without its categories")
        words = self.words[self.boundaries[number] : self.boundaries[number + 1]]
        codes = [
            place * _WORD_BITS + bit for place, word in enumerate(words) for bit in range(_WORD_BITS) if word >> bit & 1
        ]
        if not codes:
            raise refused(self.path, "has a categorical split without its categories")
        return tuple(codes)


def _tree(values: Mapping[str, str], features: int, path: str) -> ForestNode:
    if values.get("is_linear", "0") != "0":
        raise refused(path, "has linear leaves, which cannot be scored")
    leaf_values = _numbers(values, "leaf_value", path)
    splits = len(leaf_values) - 1
    counts = _numbers(values, "leaf_count", path) if "leaf_count" in values else [1.0] * len(leaf_values)
    columns = _Columns(
        features=_whole(values, "split_feature", path) if splits else [],
        thresholds=_numbers(values, "threshold", path) if splits else [],
        kinds=_whole(values, "decision_type", path) if splits else [],
        lefts=_whole(values, "left_child", path) if splits else [],
        rights=_whole(values, "right_child", path) if splits else [],
        leaf_values=leaf_values,
        leaf_counts=counts,
        boundaries=_whole(values, "cat_boundaries", path) if "cat_boundaries" in values else [],
        words=_whole(values, "cat_threshold", path) if "cat_threshold" in values else [],
        path=path,
    )
    lengths = {len(one) for one in (columns.features, columns.thresholds, columns.kinds, columns.lefts, columns.rights)}
    if lengths != {max(splits, 0)} or len(counts) != len(leaf_values) or not leaf_values:
        raise refused(path, "has arrays of different lengths")
    if not all(0 <= feature < features for feature in columns.features):
        raise refused(path, "splits a feature that feature_names does not have")
    seen = set[int]()
    root = columns.node(0 if splits else -1, seen, 0)
    if len(seen) != len(leaf_values) + splits:
        raise refused(path, "has nodes that nothing leads to")
    return root


def _numbers(values: Mapping[str, str], name: str, path: str) -> list[float]:
    try:
        numbers = [float(value) for value in values.get(name, "").split()]
    except ValueError:
        numbers = [math.nan]
    if not all(abs(number) <= 1e300 for number in numbers):  # noqa: PLR2004 - what LightGBM keeps finite
        raise refused(path, f"{name} must be finite numbers")
    return numbers


def _whole(values: Mapping[str, str], name: str, path: str) -> list[int]:
    numbers = _numbers(values, name, path)
    if not all(number.is_integer() and abs(number) < 2**53 for number in numbers):
        raise refused(path, f"{name} must be whole numbers")
    return [int(number) for number in numbers]
