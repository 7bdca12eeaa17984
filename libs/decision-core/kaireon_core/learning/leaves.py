"""Ensembles over fixed candidates, by their leaves: one matrix product instead of one walk per tree and pair.

In each tree a pair of customer and candidate reaches the one leaf whose splits it passes. A split asks about the
customer or about the candidate, so that leaf is the only one that both can reach, each for itself; which these are, is
kept in bit masks (after QuickScorer: Lucchese et al., SIGIR 2015). With R(b, l) and S(c, l) 1 where customer b and
candidate c can reach leaf l, else 0, the log-odds are the sum over l of R(b, l) * S(c, l) * value(l): a matrix product.

Leaf values are multiples of 2^-40, so that every sum of them is exact: the same bits in whatever order they are added,
for a customer alone and among thousands. Rounding moves the log-odds by at most 2^-41 per tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats

_UNIT = 2.0**-40
# A sum of multiples of the unit is exact below 2^53 of them.
_LARGEST_SUM = 2.0**12
_MASK_BITS = 64
_EVERY_LEAF = (1 << _MASK_BITS) - 1
# Beyond this a matrix of all leaves costs more than walking the trees.
_MAX_LEAVES = 2048


class Leaf(msgspec.Struct, frozen=True):
    """The end of a path: what it adds to the log-odds."""

    value: float


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A question about one feature: left when it is at most `threshold`, or one of `categories` where these are given.

    `missing_goes_left` answers for NaN; a category that is missing or not named always goes right.
    """

    feature: int
    left: Split | Leaf
    right: Split | Leaf
    threshold: float = 0.0
    missing_goes_left: bool = False
    categories: frozenset[int] | None = None


class _PlacedSplit(msgspec.Struct, frozen=True):
    """A split with the leaves of its tree that are left over when it goes left, and when it goes right."""

    split: Split
    tree: int
    keep_left: int
    keep_right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafTable:
    """An ensemble of T trees with L leaves in all; `values` (L,) are the leaves' values."""

    values: Floats
    _splits: Sequence[_PlacedSplit]
    _trees: NDArray[np.int64]
    _bits: NDArray[np.uint64]

    @staticmethod
    def of(trees: Sequence[Split | Leaf]) -> LeafTable | None:
        """Return the table, None for an ensemble that is too large for one."""
        splits, leaves = list[_PlacedSplit](), list[tuple[int, int, float]]()
        for number, tree in enumerate(trees):
            if _place(tree, number, len(leaves), splits, leaves) > _EVERY_LEAF:
                return None
        values = np.round(np.array([value for _, _, value in leaves]) / _UNIT) * _UNIT
        if len(leaves) > _MAX_LEAVES or np.abs(values).sum() >= _LARGEST_SUM:
            return None
        return LeafTable(
            values=values,
            _splits=splits,
            _trees=np.array([tree for tree, _, _ in leaves], np.int64),
            _bits=np.array([bit for _, bit, _ in leaves], np.uint64),
        )

    def part(self, features: Sequence[int]) -> LeafPart:
        """Return what the splits on these features say, for rows that have them in this order."""
        column = {feature: place for place, feature in enumerate(features)}
        mine = [one for one in self._splits if one.split.feature in column]
        ordered = [one for one in mine if one.split.categories is None]
        named = [one for one in mine if one.split.categories is not None]
        together = [*ordered, *named]
        by_tree = sorted(range(len(together)), key=lambda place: together[place].tree)
        asked = [together[place] for place in by_tree]
        trees = np.array([one.tree for one in asked], np.int64)
        starts = np.flatnonzero(np.diff(trees, prepend=-1))
        return LeafPart(
            _columns=np.array([column[one.split.feature] for one in ordered], np.int64),
            _thresholds=np.array([one.split.threshold for one in ordered], np.float64),
            _missing=np.array([one.split.missing_goes_left for one in ordered], np.bool_),
            _named_columns=np.array([column[one.split.feature] for one in named], np.int64),
            _is_named=_lookup([one.split.categories or frozenset() for one in named]),
            _by_tree=np.array(by_tree, np.int64),
            _keep_left=np.array([one.keep_left for one in asked], np.uint64),
            _keep_right=np.array([one.keep_right for one in asked], np.uint64),
            _starts=starts,
            _asked_trees=trees[starts],
            _tree_count=int(self._trees[-1]) + 1 if len(self._trees) else 0,
            _leaf_trees=self._trees,
            _leaf_bits=self._bits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafPart:
    """The splits of an ensemble on some of its features."""

    _columns: NDArray[np.int64]
    _thresholds: Floats
    _missing: NDArray[np.bool_]
    _named_columns: NDArray[np.int64]
    _is_named: NDArray[np.bool_]
    _by_tree: NDArray[np.int64]
    _keep_left: NDArray[np.uint64]
    _keep_right: NDArray[np.uint64]
    _starts: NDArray[np.int64]
    _asked_trees: NDArray[np.int64]
    _tree_count: int
    _leaf_trees: NDArray[np.int64]
    _leaf_bits: NDArray[np.uint64]

    def reached(self, rows: Floats) -> Floats:
        """Return 1 where a row, of shape (n, features), can reach a leaf, else 0: shape (n, L)."""
        masks = np.full((len(rows), self._tree_count), _EVERY_LEAF, np.uint64)
        if len(self._starts):
            kept = np.where(self._goes_left(rows), self._keep_left, self._keep_right)
            masks[:, self._asked_trees] = np.bitwise_and.reduceat(kept, self._starts, axis=1)
        return (masks.take(self._leaf_trees, axis=1) >> self._leaf_bits & np.uint64(1)).astype(np.float64)

    def _goes_left(self, rows: Floats) -> NDArray[np.bool_]:
        """Return the answers of the splits, tree by tree: shape (n, splits)."""
        numbers, codes = rows.take(self._columns, axis=1), rows.take(self._named_columns, axis=1)
        ordered = np.where(np.isnan(numbers), self._missing, numbers <= self._thresholds)
        unknown = self._is_named.shape[1] - 1
        # NaN is neither: it is unknown too.
        known = np.where((codes >= 0) & (codes < unknown), codes, unknown).astype(np.int64)
        named = self._is_named[np.arange(known.shape[1]), known]
        return np.concatenate((ordered, named), axis=1).take(self._by_tree, axis=1)


def _place(
    node: Split | Leaf, tree: int, first: int, splits: list[_PlacedSplit], leaves: list[tuple[int, int, float]]
) -> int:
    """Add a subtree of the tree whose leaves begin at `first`; return the mask of its leaves."""
    if isinstance(node, Leaf):
        bit = len(leaves) - first
        leaves.append((tree, bit, node.value))
        return 1 << bit
    left = _place(node.left, tree, first, splits, leaves)
    right = _place(node.right, tree, first, splits, leaves)
    splits.append(_PlacedSplit(node, tree, _EVERY_LEAF & ~right, _EVERY_LEAF & ~left))
    return left | right


def _lookup(named: Sequence[frozenset[int]]) -> NDArray[np.bool_]:
    """Return where a split names a category: (splits, codes + 1), the last column for all codes that none names."""
    width = max((code for codes in named for code in codes), default=-1) + 1
    table = np.zeros((len(named), width + 1), np.bool_)
    for row, codes in enumerate(named):
        table[row, list(codes)] = True
    return table
