"""The models that every response teaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from kaireon_core.catalog.document import Document
from kaireon_core.learning.definitions import ModelType

_BANDITS = frozenset({ModelType.THOMPSON_BANDIT, ModelType.EPSILON_GREEDY})
LEARNING_TYPES = _BANDITS
_CLASS_WEIGHTS = {"positive": 1.0, "negative": -1.0}


class LearnerDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A model that responses teach now; `generation` numbers what it learns since its state was last written."""

    id: str
    model_type: ModelType
    generation: int
    outcome_weights: Mapping[str, float]

    def weight(self, outcome_key: str, classification: str | None) -> float:
        """Return what an outcome is worth, from -1 to 1; 0 teaches nothing."""
        return self.outcome_weights.get(outcome_key, _CLASS_WEIGHTS.get(classification or "", 0.0))


def generation_of(body: Mapping[str, Any]) -> int:
    """Return the number of what a model learns since its state was last written or its learning reset."""
    return int(body.get("learningGeneration") or 0)


def learners(models: Iterable[Document]) -> Iterator[LearnerDefinition]:
    """Yield the models of a tenant that learn from responses: active ones that are not archived, shadows too."""
    for model in models:
        body = model.body
        if model.status == "active" and body.get("registryStatus") != "archived" and _is_learner(body):
            yield LearnerDefinition(
                id=model.id,
                model_type=ModelType(body["modelType"]),
                generation=generation_of(body),
                outcome_weights=body.get("outcomeWeights") or {},
            )


def _is_learner(body: Mapping[str, Any]) -> bool:
    return body["modelType"] in _BANDITS
