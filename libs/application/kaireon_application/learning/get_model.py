"""One model as it is answered: with its versions, and with what it has learnt."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from kaireon_application.catalog.entities import Entities
from kaireon_application.catalog.read_entity import get_entity, view
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL, KIND
from kaireon_application.learning.model_source import current_state
from kaireon_application.learning.score_rows import ModelScoring
from kaireon_application.learning.versions import ModelVersions
from kaireon_core.learning.definitions import ModelType

# States that somebody may want to read; trees and embeddings are large, and read by nobody.
_SHOWN = frozenset({ModelType.BAYESIAN, ModelType.LOGISTIC_REGRESSION, ModelType.LINEAR_REGRESSION})


async def get_model(
    entities: Entities, versions: ModelVersions, scoring: ModelScoring, tenant_id: UUID, reference: str
) -> dict[str, Any]:
    """Return a model by id or key; `modelState` is what it scores with, where that is small. Raises `NotFound`."""
    entity = await get_entity(entities, tenant_id, KIND, reference)
    document = {**view(tenant_id, ALGORITHM_MODEL, entity), "versions": await versions.list(tenant_id, entity.id)}
    learned = await scoring.learned_state(tenant_id, entity)
    if learned is not None:
        return {**document, "modelState": learned}
    if entity.body["modelType"] not in _SHOWN:
        return document
    newest = (await versions.newest(tenant_id, [entity.id])).get(entity.id)
    return {**document, "modelState": current_state(entity.body, newest.state if newest else None) or {}}
