"""Naive Bayes: every field speaks for itself, by how often its value came with either outcome.

score = sigmoid(log odds of the classes + the sum over fields of log P(value | positive) - log P(value | negative)),
P(x = v | c) = (count(v, c) + alpha) / (count(c) + alpha * number of values). (Manning, Raghavan, Schütze,
Introduction to Information Retrieval, 2008, chapter 13; Laplace smoothing of the likelihoods, none of the priors.)
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from scipy.special import expit

from kaireon_core.column import Column, Floats, Kind
from kaireon_core.learning.additive import Additive
from kaireon_core.learning.configs import BayesianConfig, BinEdges, rising_edges_problems
from kaireon_core.learning.definitions import Name
from kaireon_core.learning.terms import text_of
from kaireon_core.problems import Problem

_SURE_FROM = 1000
ClassCount = Annotated[float, Meta(ge=0, le=1e15)]
ValueCounts = Annotated[dict[str, ClassCount], Meta(max_length=100_000)]


class ClassCounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many rows of each class there were."""

    positive: ClassCount
    negative: ClassCount


class FieldCounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often each value of a field, or each bin (`"0"`, `"1"`, ...), came with each class."""

    positive: ValueCounts = msgspec.field(default_factory=dict[str, float])
    negative: ValueCounts = msgspec.field(default_factory=dict[str, float])


class BayesianState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Counts by class. A field with `bin_edges` is numeric: its bin is the number of edges that are not above it."""

    priors: ClassCounts
    likelihoods: Annotated[dict[Name, FieldCounts], Meta(max_length=1000)] = msgspec.field(
        default_factory=dict[str, FieldCounts]
    )
    bin_edges: BinEdges = msgspec.field(default_factory=dict[str, tuple[float, ...]])

    @property
    def has_both_classes(self) -> bool:
        """Whether there is anything to compare."""
        return self.priors.positive > 0 and self.priors.negative > 0


def bayesian_state_problems(state: BayesianState, path: str) -> tuple[Problem, ...]:
    """Return what the state's shape alone does not show: edges that do not rise, bins that are none."""
    problems = list(rising_edges_problems(state.bin_edges, f"{path}.binEdges"))
    for field, counts in state.likelihoods.items():
        if field in state.bin_edges:
            bins = {str(number) for number in range(len(state.bin_edges[field]) + 1)}
            for outcome, values in (("positive", counts.positive), ("negative", counts.negative)):
                place = f"{path}.likelihoods.{field}.{outcome}"
                message = f'bins of this field are "0" to "{len(bins) - 1}"'
                problems.extend(Problem(path=f"{place}.{value}", message=message) for value in values.keys() - bins)
    return tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinTerm:
    """Adds the log-likelihood ratio of the bin that a number falls into, nothing for anything but a number."""

    edges: tuple[float, ...]
    ratios: Floats

    def value(self, value: object) -> float:
        """Return what one value adds."""
        if type(value) in (int, float):
            return float(self.ratios[bisect_right(self.edges, value)])  # pyright: ignore[reportArgumentType] - a number
        return 0.0

    def column(self, column: Column) -> Floats:
        """Return what each row adds, shape (n,)."""
        bins = np.searchsorted(np.array(self.edges), column.numbers, side="right")
        return np.where(column.kinds == Kind.NUMBER, self.ratios[np.minimum(bins, len(self.edges))], 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTerm:
    """Adds the log-likelihood ratio of a value, nothing for one that was never seen."""

    ratios: Mapping[str, float]

    def value(self, value: object) -> float:
        """Return what one value adds."""
        text = text_of(value)
        return 0.0 if text is None else self.ratios.get(text, 0.0)

    def column(self, column: Column) -> Floats:
        """Return what each row adds, shape (n,)."""
        return np.array([self.value(value) for value in column.objects.tolist()], np.float64)


def compile_bayesian(config: BayesianConfig, state: BayesianState) -> Additive:
    """Return the model of counts that have both classes; its confidence is min(1, sqrt(rows / 1000))."""
    priors = state.priors
    edges = {**config.bin_edges, **state.bin_edges}
    terms = [
        (field, _term(counts, priors, config.laplace_smoothing_alpha, edges.get(field)))
        for field, counts in state.likelihoods.items()
    ]
    confidence = min(1.0, math.sqrt((priors.positive + priors.negative) / _SURE_FROM))
    return Additive.of(math.log(priors.positive) - math.log(priors.negative), terms, expit, confidence)


def _term(
    counts: FieldCounts, priors: ClassCounts, alpha: float, edges: tuple[float, ...] | None
) -> BinTerm | ValueTerm:
    seen = (
        [str(number) for number in range(len(edges) + 1)]
        if edges is not None
        else list(dict.fromkeys([*counts.positive, *counts.negative]))
    )

    def log_likelihood(values: Mapping[str, float], value: str, total: float) -> float:
        return math.log(values.get(value, 0.0) + alpha) - math.log(total + alpha * len(seen))

    ratios = {
        value: log_likelihood(counts.positive, value, priors.positive)
        - log_likelihood(counts.negative, value, priors.negative)
        for value in seen
    }
    return ValueTerm(ratios=ratios) if edges is None else BinTerm(edges=edges, ratios=np.array(list(ratios.values())))
