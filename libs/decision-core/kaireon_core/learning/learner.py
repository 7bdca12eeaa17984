"""Models that learn from responses: a state of their own, and on top of it what is stored elsewhere."""

from __future__ import annotations

from typing import Any, Protocol, Self, runtime_checkable

from kaireon_core.learning.learned import LearnedRows, LearnerReference
from kaireon_core.learning.model import Model


@runtime_checkable
class Learner(Model, Protocol):
    """A compiled model that responses teach; by itself it scores by the state that it was made of."""

    @property
    def reference(self) -> LearnerReference:
        """Where to find what it has learned."""
        ...

    def known_as(self, model_id: str, generation: int) -> Self:
        """Return the model with the place where what it learns is stored."""
        ...

    def taught(self, learned: LearnedRows) -> Model:
        """Return the model whose state holds what these responses taught."""
        ...

    def shown(self, learned: LearnedRows) -> dict[str, Any]:
        """Return the state with what these responses taught, as it is answered."""
        ...


def known_as(model: Model, model_id: str, generation: int) -> Model:
    """Return a model that knows where what it learns is stored; one that does not learn is returned as it is."""
    return model.known_as(model_id, generation) if isinstance(model, Learner) else model
