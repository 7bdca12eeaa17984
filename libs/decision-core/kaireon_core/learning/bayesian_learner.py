"""Naive Bayes that counts on: every response adds to its counts of classes and of values."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import msgspec

from kaireon_core.learning.additive import Additive
from kaireon_core.learning.bayesian import BayesianState, ClassCounts, FieldCounts, compile_bayesian
from kaireon_core.learning.configs import BayesianConfig
from kaireon_core.learning.learned import LearnedForm, LearnedRows, LearnerReference
from kaireon_core.learning.model import BoundModel, Explanation, Fields, Scores
from kaireon_core.learning.terms import text_of
from kaireon_core.learning.untrained import Untrained

# The subject that counts the classes themselves.
CLASSES = ""
_LONGEST_VALUE = 100
_UNKNOWN = LearnerReference(model_id="", generation=0, form=LearnedForm.COUNTS)
_NOTHING = BayesianState(priors=ClassCounts(positive=0, negative=0))


@dataclass(frozen=True, kw_only=True)
class BayesianLearner:
    """A compiled learner: the counts of its state, and the `predictors` that it learns from."""

    config: BayesianConfig
    state: BayesianState
    predictors: tuple[str, ...]
    model: Additive | Untrained
    reference: LearnerReference = _UNKNOWN

    @staticmethod
    def of(config: BayesianConfig, state: BayesianState | None, predictors: Sequence[str] = ()) -> BayesianLearner:
        """Return the learner of a config and counts; it learns from the fields that it has counts of too."""
        counts = state or _NOTHING
        fields = tuple(dict.fromkeys([*predictors, *counts.likelihoods]))
        return BayesianLearner(config=config, state=counts, predictors=fields, model=_compiled(config, counts))

    @property
    def fields(self) -> tuple[str, ...]:
        """The names that it reads."""
        return self.predictors

    def known_as(self, model_id: str, generation: int) -> Self:
        """Return the learner with the place where what it learns is stored."""
        return replace(self, reference=msgspec.structs.replace(_UNKNOWN, model_id=model_id, generation=generation))

    def taught(self, learned: LearnedRows) -> BayesianLearner:
        """Return the learner with what responses have added to its counts."""
        if not learned.sums:
            return self
        state = _added(self.state, self.config, learned)
        return replace(self, state=state, model=_compiled(self.config, state))

    def shown(self, learned: LearnedRows) -> dict[str, Any]:
        """Return `{"priors", "likelihoods", "binEdges"}`."""
        return msgspec.to_builtins(self.taught(learned).state)

    def score(self, table: Fields) -> Scores:
        """Return the scores by the counts that it has."""
        return self.model.score(table)

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return what every field adds to the log-odds."""
        return self.model.explain(table, customer, candidate)

    def bound(self, candidates: Fields) -> BoundModel | None:
        """Return the model over the candidates of this table."""
        return self.model.bound(candidates)


def bayesian_subjects(edges: Mapping[str, Sequence[float]], values: Mapping[str, Any]) -> list[str]:
    """Return what a response with these values by field counts: the classes, and the value or bin of each field."""
    subjects = [CLASSES]
    for field, value in values.items():
        text = _bin(edges[field], value) if field in edges else text_of(value)
        if text is not None and len(text) <= _LONGEST_VALUE:
            subjects.append(json.dumps([field, text]))
    return subjects


def _bin(edges: Sequence[float], value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(bisect_right(edges, value))


def _compiled(config: BayesianConfig, state: BayesianState) -> Additive | Untrained:
    return compile_bayesian(config, state) if state.has_both_classes else Untrained()


def _added(state: BayesianState, config: BayesianConfig, learned: LearnedRows) -> BayesianState:
    priors = state.priors
    likelihoods = {field: (dict(counts.positive), dict(counts.negative)) for field, counts in state.likelihoods.items()}
    for subject, sums in learned.sums.items():
        if subject == CLASSES:
            priors = ClassCounts(positive=priors.positive + sums[0], negative=priors.negative + sums[1])
            continue
        field, value = json.loads(subject)
        for counts, more in zip(likelihoods.setdefault(field, ({}, {})), sums, strict=True):
            counts[value] = counts.get(value, 0.0) + more
    return BayesianState(
        priors=priors,
        likelihoods={field: FieldCounts(positive=good, negative=bad) for field, (good, bad) in likelihoods.items()},
        bin_edges={**config.bin_edges, **state.bin_edges},
    )
