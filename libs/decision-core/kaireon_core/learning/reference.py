"""What training has seen, as histograms: what later data is compared with to find drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kaireon_core.column import Column, Floats
from kaireon_core.learning.feature import FeatureKind
from kaireon_core.learning.terms import text_of

_BINS = 20
_CATEGORIES = 50


def reference_of(predictors: Iterable[tuple[str, FeatureKind, Column]], scores: Floats) -> dict[str, Any]:
    """Return the histogram of each feature and of the scores of the rows that a model was trained on.

    A numeric one has at most 20 bins, `counts[i]` being those from `edges[i]` up to `edges[i + 1]`, the last edge
    included; the outer edges are the smallest and the largest number. A categorical one has its 50 most frequent
    values; the others are counted in `other`.
    """
    return {
        "features": {name: _feature_histogram(kind, column) for name, kind, column in predictors},
        "score": _numeric_histogram(scores),
    }


def _feature_histogram(kind: FeatureKind, column: Column) -> Mapping[str, Any]:
    if kind is FeatureKind.NUMERIC:
        numbers = column.numbers[column.is_number]
        return {"kind": "numeric", **_numeric_histogram(numbers), "nulls": len(column) - len(numbers)}
    values = [text for text in map(text_of, column.objects.tolist()) if text is not None]
    counted = sorted(Counter(values).items(), key=lambda one: (-one[1], one[0]))
    return {
        "kind": "categorical",
        "counts": dict(counted[:_CATEGORIES]),
        "other": sum(count for _, count in counted[_CATEGORIES:]),
        "nulls": len(column) - len(values),
    }


def _numeric_histogram(numbers: Floats) -> dict[str, list[float]]:
    """Return equally full bins: outliers do not push everything else into one.

    Up to 20 different numbers have a bin each, so that ones and zeros stay apart; the last edge stands twice then.
    """
    if not len(numbers):
        return {"edges": [], "counts": []}
    edges = np.unique(numbers)
    if len(edges) > _BINS:
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BINS + 1)))
    else:
        edges = np.append(edges, edges[-1])
    counts, _ = np.histogram(numbers, edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
