"""A model with what responses have taught it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from kaireon_core.learning.learned import LearnedRows, LearnerReference
from kaireon_core.learning.learner import Learner
from kaireon_core.learning.model import Model


class LearnedStore(Protocol):
    """Reads what responses have taught models. Raises `Unavailable` while it cannot be reached."""

    async def learned(self, tenant_id: str, references: Sequence[LearnerReference]) -> dict[str, LearnedRows]:
        """Return what these models have learned, by model id; one that nothing taught is absent."""
        ...


async def taught(store: LearnedStore, tenant_id: UUID, model: Model) -> Model:
    """Return the model as it scores now; one that does not learn is returned as it is."""
    if not isinstance(model, Learner):
        return model
    return model.taught(await _learned(store, tenant_id, model))


async def shown(store: LearnedStore, tenant_id: UUID, model: Model) -> dict[str, Any] | None:
    """Return a learner's state with what responses have taught it, None for a model that does not learn."""
    if not isinstance(model, Learner):
        return None
    return model.shown(await _learned(store, tenant_id, model))


async def _learned(store: LearnedStore, tenant_id: UUID, model: Learner) -> LearnedRows:
    found = await store.learned(str(tenant_id), [model.reference])
    return found.get(model.reference.model_id, LearnedRows())
