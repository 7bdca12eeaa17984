"""What a response teaches the models that learn from responses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kaireon_application.decisioning.changes import InteractionRow, LessonRow
from kaireon_application.learning.learners import LearnerDefinition
from kaireon_core.learning.definitions import ModelType


def lessons_of(row: InteractionRow, learners: Iterable[LearnerDefinition]) -> list[LessonRow]:
    """Return what an interaction adds to the sums of these models; nothing where its outcome weighs nothing."""
    if row.offer_id is None or row.outcome_key is None:
        return []
    return [
        lesson
        for learner in learners
        if (weight := learner.weight(row.outcome_key, row.classification)) != 0
        for lesson in _lessons(learner, row.offer_id, weight)
    ]


def _lessons(learner: LearnerDefinition, offer_id: str, weight: float) -> Iterator[LessonRow]:
    reward = (weight + 1) / 2
    if learner.model_type is ModelType.THOMPSON_BANDIT:
        yield _lesson(learner, offer_id, reward, 1 - reward)
    elif learner.model_type is ModelType.EPSILON_GREEDY:
        yield _lesson(learner, offer_id, weight, 1.0)


def _lesson(learner: LearnerDefinition, subject: str, first: float, second: float) -> LessonRow:
    return LessonRow(model_id=learner.id, generation=learner.generation, subject=subject, first=first, second=second)
