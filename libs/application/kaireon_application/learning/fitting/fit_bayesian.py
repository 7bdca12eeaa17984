"""Naive Bayes, fitted by counting."""

from __future__ import annotations

import numpy as np

from kaireon_application.learning.fitting.fit_linear import OnStep
from kaireon_core.column import Floats
from kaireon_core.learning.bayesian import BayesianState, ClassCounts, FieldCounts
from kaireon_core.learning.configs import BayesianConfig
from kaireon_core.learning.feature import Feature, FeatureKind
from kaireon_core.learning.terms import text_of
from kaireon_core.learning.training_set import TrainingSet

# Of a field with more values the rarer ones are as never seen.
_MOST_VALUES = 1000


def fit_bayesian(rows: TrainingSet, config: BayesianConfig, on_step: OnStep) -> BayesianState:
    """Return the counts of the training rows, by class; null is counted nowhere."""
    end = rows.validation_start
    labels, edges, likelihoods = rows.labels[:end], dict[str, tuple[float, ...]](), dict[str, FieldCounts]()
    for place, feature in enumerate(rows.features):
        values = rows.matrix[:end, place]
        if feature.kind is FeatureKind.NUMERIC:
            cuts = config.bin_edges.get(feature.name) or _quantile_edges(values, config.bins)
            edges[feature.name] = cuts
            likelihoods[feature.name] = _bin_counts(values, labels, cuts)
        else:
            likelihoods[feature.name] = _value_counts(feature, values, labels)
        on_step(place + 1, len(rows.features))
    positives = float(labels.sum())
    priors = ClassCounts(positive=positives, negative=len(labels) - positives)
    return BayesianState(priors=priors, likelihoods=likelihoods, bin_edges=edges)


def _quantile_edges(values: Floats, bins: int) -> tuple[float, ...]:
    """Return edges between equally full bins, fewer where values repeat."""
    numbers = values[~np.isnan(values)]
    if not len(numbers):
        return ()
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1)[1:-1]))
    # Below the smallest number there is nothing to count.
    return tuple(edges[edges > numbers.min()].tolist())


def _bin_counts(values: Floats, labels: Floats, edges: tuple[float, ...]) -> FieldCounts:
    is_number = ~np.isnan(values)
    bins = np.searchsorted(np.array(edges), values[is_number], side="right")

    def counted(label: int) -> dict[str, float]:
        counts = np.bincount(bins[labels[is_number] == label], minlength=len(edges) + 1)
        return {str(bin_): float(count) for bin_, count in enumerate(counts.tolist())}

    return FieldCounts(positive=counted(1), negative=counted(0))


def _value_counts(feature: Feature, values: Floats, labels: Floats) -> FieldCounts:
    codes, size = values.astype(np.int64), len(feature.categories) + 1
    total = np.bincount(codes, minlength=size)
    total[0] = 0
    frequent = np.argsort(-total, kind="stable")[:_MOST_VALUES]
    kept = sorted(int(code) for code in frequent.tolist() if total[code] > 0)

    def counted(label: int) -> dict[str, float]:
        counts = np.bincount(codes[labels == label], minlength=size)
        return {str(text_of(feature.categories[code - 1])): float(counts[code]) for code in kept}

    return FieldCounts(positive=counted(1), negative=counted(0))
