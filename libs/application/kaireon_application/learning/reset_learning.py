"""Make a model forget what it has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from kaireon_application.catalog.entities import Entities
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.errors import InvalidInput
from kaireon_application.governance.actor import Actor
from kaireon_application.learning.algorithm_model import KIND, next_generation
from kaireon_application.learning.score_rows import ModelScoring
from kaireon_core.learning.definitions import ModelType

_TAUGHT_ELSEWHERE = {
    ModelType.SCORECARD: "its points are written by hand",
    ModelType.EXTERNAL_ENDPOINT: "its service learns by itself",
    ModelType.ONNX_IMPORTED: "it was trained elsewhere",
}


class LearningResets(Protocol):
    """Writes resets. Raises `Unavailable` while the storage is down."""

    async def reset(self, tenant_id: UUID, model_id: UUID, learned: Mapping[str, Any] | None, actor: Actor) -> None:
        """Keep what the model has learnt as a version, `learned` or else its current state, and forget it.

        Raises `NotFound` when the model was deleted meanwhile.
        """
        ...


async def reset_learning(
    entities: Entities, resets: LearningResets, scoring: ModelScoring, tenant_id: UUID, reference: str, actor: Actor
) -> None:
    """Keep a model's state as a version and make it an untrained draft again; what responses taught it ends with it.

    Raises `NotFound`, and `InvalidInput` for a model that learns nothing here.
    """
    entity = await get_entity(entities, tenant_id, KIND, reference)
    model_type = ModelType(entity.body["modelType"])
    if model_type in _TAUGHT_ELSEWHERE:
        raise InvalidInput.at(
            "$", f"a model of type {model_type} has no learning to reset: {_TAUGHT_ELSEWHERE[model_type]}"
        )
    await resets.reset(tenant_id, entity.id, await scoring.learned_state(tenant_id, entity), actor)


def forgotten(body: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Return a model's body without anything learnt; `version` is its newest one, which it no longer scores with."""
    return {
        **body,
        "version": version,
        "modelState": {},
        "metrics": {},
        "trainingSamples": 0,
        "lastTrainedAt": None,
        "learningGeneration": next_generation(body),
    }
