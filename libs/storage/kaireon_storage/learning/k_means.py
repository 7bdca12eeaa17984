"""K-means and its silhouettes by scikit-learn, and the trees that put clusters into conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_limits

from kaireon_application.learning.segment_analysis import Clustering, Silhouette
from kaireon_core.column import Floats, Mask
from kaireon_core.learning.cluster_filters import Step
from kaireon_core.learning.cluster_profile import Labels, by_size

# The mean silhouette needs the distance of every pair: beyond this many rows it is that of a sample.
SILHOUETTE_ROWS = 2_000
_RESTARTS = 5
# From so many values on, a start takes so long that two must do.
_MANY_VALUES = 1_000_000
_FEW_RESTARTS = 2
_DEPTH = 4
_LEAF_SHARE = 0.02


def cluster_rows(values: Floats, most: int, seed: int, check: Callable[[], None]) -> Clustering:
    """Return the clustering with the best mean silhouette of 2 to `most` clusters.

    One thread: sums over rows must not depend on how many a machine has. `check` is asked before each number of
    clusters and may raise to stop.
    """
    # Imported here because that takes a second: only a process that analyses pays it.
    from sklearn.cluster import KMeans  # noqa: PLC0415

    distinct = len(np.unique(values, axis=0))
    sampled = _silhouette_rows(len(values), seed)
    best: tuple[float, Labels] | None = None
    silhouettes = list[Silhouette]()
    restarts = _RESTARTS if values.size <= _MANY_VALUES else _FEW_RESTARTS
    with threadpool_limits(limits=1):
        for count in range(2, min(most, distinct) + 1):
            check()
            means = KMeans(count, n_init=restarts, random_state=seed)  # pyright: ignore[reportArgumentType] - its own annotation knows `auto` only
            labels = cast("Labels", means.fit_predict(values)).astype(np.int64)
            score = _silhouette(values[sampled], labels[sampled])
            silhouettes.append(Silhouette(clusters=count, silhouette=score))
            # Equal ones: fewer clusters say the same with less.
            if best is None or score > best[0]:
                best = score, labels
    assert best is not None  # noqa: S101 - a field that is not constant makes two distinct rows
    return Clustering(labels=by_size(best[1]), silhouette=best[0], silhouettes=tuple(silhouettes))


def _silhouette_rows(count: int, seed: int) -> Labels:
    if count <= SILHOUETTE_ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, SILHOUETTE_ROWS, replace=False))


def _silhouette(values: Floats, labels: Labels) -> float:
    from sklearn import metrics  # noqa: PLC0415

    # Where the sample holds one cluster only, or each row its own, there is nothing to compare.
    if not 1 < len(np.unique(labels)) < len(labels):
        return -1.0
    return float(metrics.silhouette_score(values, labels))


def cluster_leaves(values: Floats, members: Mask) -> list[list[Step]]:
    """Return the leaves of a shallow tree that tells the members from all other rows, each as the way to it."""
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415

    smallest = max(1, int(_LEAF_SHARE * int(members.sum())))
    classifier: Any = DecisionTreeClassifier(
        max_depth=_DEPTH, min_samples_leaf=smallest, class_weight="balanced", random_state=0
    )
    tree = classifier.fit(values, members).tree_
    parts = (tree.children_left, tree.children_right, tree.feature, tree.threshold)
    return list(_leaves(0, [], *(part.tolist() for part in parts)))


def _leaves(
    node: int,
    way: list[Step],
    left: Sequence[int],
    right: Sequence[int],
    axes: Sequence[int],
    thresholds: Sequence[float],
) -> Iterator[list[Step]]:
    if left[node] == right[node]:
        yield way
        return
    for child, is_above in ((left[node], False), (right[node], True)):
        step = Step(axis=axes[node], threshold=thresholds[node], is_above=is_above)
        yield from _leaves(child, [*way, step], left, right, axes, thresholds)
