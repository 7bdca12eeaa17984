"""What a response teaches the models that learn from responses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from kaireon_application.decisioning.changes import InteractionRow, LessonRow, StepRow
from kaireon_application.learning.learners import LearnerDefinition
from kaireon_core.learning.bayesian_learner import BayesianLearner, bayesian_subjects
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.online_learner import OnlineLearner, online_features

# The features of a decision by name; None of a response to no decision, or where none were kept.
Features = Mapping[str, Any] | None


def lessons_of(row: InteractionRow, features: Features, learners: Iterable[LearnerDefinition]) -> list[LessonRow]:
    """Return what an interaction adds to the sums of these models; nothing where its outcome weighs nothing."""
    return [lesson for learner, weight in _taught(row, learners) for lesson in _lessons(learner, row, features, weight)]


def steps_of(row: InteractionRow, features: Features, learners: Iterable[LearnerDefinition]) -> list[StepRow]:
    """Return the steps that the weights of these models take; none for a response to no decision."""
    if features is None:
        return []
    return [
        _step(learner, learner.features, features, (weight + 1) / 2)
        for learner, weight in _taught(row, learners)
        if isinstance(learner.features, OnlineLearner)
    ]


def _taught(row: InteractionRow, learners: Iterable[LearnerDefinition]) -> Iterator[tuple[LearnerDefinition, float]]:
    """Yield the models that an interaction teaches, and what its outcome weighs for each."""
    if row.offer_id is None or row.outcome_key is None:
        return
    for learner in learners:
        weight = learner.weight(row.outcome_key, row.classification)
        if weight != 0:
            yield learner, weight


def _lessons(learner: LearnerDefinition, row: InteractionRow, features: Features, weight: float) -> Iterator[LessonRow]:
    reward = (weight + 1) / 2
    if learner.model_type is ModelType.THOMPSON_BANDIT:
        yield _lesson(learner, str(row.offer_id), reward, 1 - reward)
    elif learner.model_type is ModelType.EPSILON_GREEDY:
        yield _lesson(learner, str(row.offer_id), weight, 1.0)
    elif isinstance(learner.features, BayesianLearner) and features is not None:
        bayesian = learner.features
        edges = {**bayesian.config.bin_edges, **bayesian.state.bin_edges}
        for subject in bayesian_subjects(edges, _known(learner, features)):
            yield _lesson(learner, subject, reward, 1 - reward)


def _lesson(learner: LearnerDefinition, subject: str, first: float, second: float) -> LessonRow:
    return LessonRow(model_id=learner.id, generation=learner.generation, subject=subject, first=first, second=second)


def _step(learner: LearnerDefinition, online: OnlineLearner, features: Mapping[str, Any], reward: float) -> StepRow:
    step = {
        "x": online_features(online.state, _known(learner, features)),
        "reward": reward,
        "rate": learner.rate,
        "l2": float(learner.config.get("l2", 0.0)),
    }
    beginning = {"weights": online.state.weights, "bias": online.state.bias}
    return StepRow(
        model_id=learner.id,
        generation=learner.generation,
        beginning=msgspec.json.encode(beginning),
        step=msgspec.json.encode(step),
    )


def _known(learner: LearnerDefinition, features: Mapping[str, Any]) -> dict[str, Any]:
    """Return the features that this model learns from, as far as the decision had them."""
    return {field: features[field] for field in learner.fields if field in features}
