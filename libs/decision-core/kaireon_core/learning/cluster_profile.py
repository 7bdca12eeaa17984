"""What a cluster is like, in the units of its fields, and what sets it apart from everybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Mask
from kaireon_core.learning.cluster_matrix import ClusterField, ClusterMatrix, Level, levels_of, numbers_of
from kaireon_core.learning.feature import FeatureKind

MOST_FEATURES = 5

Labels = NDArray[np.int64]


class DistinguishingFeature(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a cluster lies from all rows in one number, or in the share of one value of a field.

    `clusterValue` and `overallValue` are means in the field's own units, or shares in [0, 1]; `effect` is their
    difference in standard deviations of all rows.
    """

    field: str
    kind: str
    value: Level
    cluster_value: float
    overall_value: float
    effect: float
    direction: str


class ClusterProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One cluster: its rows, its mean of each number and its most frequent value of each category."""

    size: int
    share: float
    centroid: dict[str, float | str | bool | None]
    distinguishing: tuple[DistinguishingFeature, ...]


def by_size(labels: Labels) -> Labels:
    """Return the labels numbered from the largest cluster down; equal ones by their first row."""
    _, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -counts))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[inverse]


def describe_cluster(matrix: ClusterMatrix, members: Mask) -> ClusterProfile:
    """Return what the rows of one cluster are like."""
    size = int(np.count_nonzero(members))
    features = [one for place, _ in enumerate(matrix.fields) for one in _features(matrix, place, members)]
    ranked = sorted(features, key=lambda one: -abs(one.effect))
    return ClusterProfile(
        size=size,
        share=size / len(members),
        centroid={field.name: _centre(field, members) for field in matrix.fields},
        distinguishing=tuple(ranked[:MOST_FEATURES]),
    )


def cluster_name(number: int, features: Sequence[DistinguishingFeature]) -> str:
    """Return words for a cluster: its number, counted from 1, and its two most distinguishing features."""
    told = [_told(one) for one in features[:2]]
    return f"Cluster {number}: {', '.join(told)}"[:255]


def _told(feature: DistinguishingFeature) -> str:
    if feature.kind == FeatureKind.NUMERIC:
        return f"{feature.direction} {feature.field}"
    value = "no value" if feature.value is None else str(feature.value)
    return f"{feature.field} {'is' if feature.direction == 'higher' else 'is not'} {value}"


def _centre(field: ClusterField, members: Mask) -> float | str | bool | None:
    if field.kind is FeatureKind.NUMERIC:
        numbers = numbers_of(field)[members]
        known = numbers[~np.isnan(numbers)]
        return float(known.mean()) if len(known) else None
    levels = levels_of(field)
    counts = Counter(levels[row] for row in np.flatnonzero(members).tolist())
    return min(counts, key=lambda level: (-counts[level], str(level)))


def _features(matrix: ClusterMatrix, place: int, members: Mask) -> list[DistinguishingFeature]:
    """Return what one field says: its number, or that of its levels which sets the cluster apart most."""
    field, found = matrix.fields[place], list[DistinguishingFeature]()
    for index, axis in enumerate(matrix.axes):
        if axis.field != place:
            continue
        values = matrix.values[:, index]
        spread = float(values.std())
        if spread == 0:
            continue
        inside, outside = float(values[members].mean()), float(values.mean())
        effect = (inside - outside) / spread
        found.append(
            DistinguishingFeature(
                field=field.name,
                kind=field.kind.value,
                value=axis.level,
                cluster_value=inside * axis.scale + axis.mean,
                overall_value=outside * axis.scale + axis.mean,
                effect=effect,
                direction="higher" if effect > 0 else "lower",
            )
        )
    return sorted(found, key=lambda one: -abs(one.effect))[:1]
