"""Score rows with a model, outside of any decision."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.errors import Conflict, InvalidInput
from kaireon_application.learning.algorithm_model import KIND
from kaireon_application.learning.external_scoring import ExternalScoring
from kaireon_application.learning.imported_graph import LoadedGraphs
from kaireon_application.learning.learned_state import LearnedStore, shown, taught
from kaireon_application.learning.learners import LEARNING_TYPES, as_learner, generation_of, predictors_of
from kaireon_application.learning.model_source import ModelSource, compile_source, model_source
from kaireon_application.learning.score_outside import MAX_ROWS, outside_row, outside_rows
from kaireon_application.learning.versions import ModelVersions
from kaireon_core.learning.compile import Graphs, LoadTrees, ModelNotReady
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.fallback import NO_FALLBACK, FallbackReason, Fallbacks, reason_of
from kaireon_core.learning.model import Contribution, Model, RowTable

Row = Mapping[str, Any]


class ScoreAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The score of one row: `base_value` plus the sum of the contributions is `raw_score`.

    `confidence` (0 to 1) is answered by models that know how sure they are.
    """

    score: float
    raw_score: float
    base_value: float
    explanations: tuple[Contribution, ...]
    confidence: float | UnsetType = UNSET
    # Of a model that is a service: why its fallback score counts.
    fallback_reason: FallbackReason | UnsetType = UNSET
    # Of an imported graph that has no score.
    engine_type: str | UnsetType = UNSET
    degraded: bool | UnsetType = UNSET
    reason: FallbackReason | UnsetType = UNSET
    model_id: UUID
    model_key: str
    model_type: str
    model_version: int


class ScoresAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The scores of many rows, in their order."""

    scores: list[float]
    # Of an imported graph that has no score for some of the rows: why it has none for the first of them.
    engine_type: str | UnsetType = UNSET
    degraded: bool | UnsetType = UNSET
    reason: FallbackReason | UnsetType = UNSET
    model_version: int


class LoadedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model ready to score, with the thing it was made of."""

    entity: Entity
    version: int
    model: Any

    @property
    def scorer(self) -> Model:
        """The model."""
        scorer: Model = self.model
        return scorer


class ModelScoring:
    """Scores with stored models in whatever state of their lifecycle."""

    def __init__(
        self,
        entities: Entities,
        versions: ModelVersions,
        load_trees: LoadTrees,
        learned: LearnedStore | None = None,
        outside: ExternalScoring | None = None,
        graphs: LoadedGraphs | None = None,
    ) -> None:
        """Read models from here and make trees with `load_trees`; without `learned` they score by their states.

        Models that are services are called through `outside`, imported ones run by `graphs`; without them neither
        can score.
        """
        self._graphs = graphs
        self._outside = outside
        self._learned = learned
        self._entities = entities
        self._versions = versions
        self._load_trees = load_trees

    async def load(self, tenant_id: UUID, reference: str, version: int | None = None) -> LoadedModel:
        """Return a model by id or key, in its newest version or the given one.

        Raises `NotFound`, `Conflict` when it cannot score yet.
        """
        entity = await get_entity(self._entities, tenant_id, KIND, reference)
        if version is None:
            found = (await self._versions.newest(tenant_id, [entity.id])).get(entity.id)
        else:
            found = await self._versions.get(tenant_id, entity.id, version)
            if found is None:
                raise Conflict(f"model {entity.key!r} has no version {version}")
        source = model_source(entity, found, is_pinned=version is not None)
        try:
            models = [(source.model_type, source.state)]
            graphs: Graphs = await self._graphs.loaded(tenant_id, models) if self._graphs else {}
            model = await asyncio.to_thread(compile_source, source, self._load_trees, graphs)
            if version is None:
                model = _learner(entity, source, model)
        except ModelNotReady as error:
            raise Conflict(f"model {entity.key!r}: {error}") from error
        if version is None and self._learned is not None:
            model = await taught(self._learned, tenant_id, model)
        return LoadedModel(entity=entity, version=source.version, model=model)

    async def learned_state(self, tenant_id: UUID, entity: Entity) -> dict[str, Any] | None:
        """Return a learner's state with what responses have taught it; None for a model that does not learn."""
        if self._learned is None or entity.body["modelType"] not in LEARNING_TYPES:
            return None
        newest = (await self._versions.newest(tenant_id, [entity.id])).get(entity.id)
        source = model_source(entity, newest)
        model = _learner(entity, source, compile_source(source, self._load_trees))
        return await shown(self._learned, tenant_id, model)

    def outside(self, entity: Entity) -> ExternalScoring:
        """Return who calls services. Raises `Conflict` where nobody does."""
        if self._outside is None:
            raise Conflict(f"model {entity.key!r} is a service, which is not called from here")
        return self._outside

    async def score_row(self, tenant_id: UUID, reference: str, row: Row) -> ScoreAnswer:
        """Return the score of one row and its explanation. Raises as `load`."""
        loaded = await self.load(tenant_id, reference)
        if isinstance(loaded.model, ExternalEndpoint):
            found = await outside_row(self.outside(loaded.entity), tenant_id, loaded.entity, loaded.model, row)
            return ScoreAnswer(
                score=found.score,
                raw_score=found.score,
                base_value=found.score,
                explanations=(),
                fallback_reason=found.reason or UNSET,
                model_id=loaded.entity.id,
                model_key=loaded.entity.key,
                model_type=str(loaded.entity.body["modelType"]),
                model_version=loaded.version,
            )
        table = RowTable([row])
        scores = loaded.scorer.score(table)
        explanation = loaded.scorer.explain(table, 0, 0)
        return ScoreAnswer(
            score=float(scores.values.flat[0]),
            raw_score=float(scores.raw.flat[0]),
            base_value=explanation.base,
            explanations=explanation.contributions,
            confidence=UNSET if explanation.confidence is None else explanation.confidence,
            **degraded(loaded.entity, scores.fallbacks),
            model_id=loaded.entity.id,
            model_key=loaded.entity.key,
            model_type=str(loaded.entity.body["modelType"]),
            model_version=loaded.version,
        )

    async def score_rows(
        self, tenant_id: UUID, reference: str, rows: Sequence[Row], version: int | None = None
    ) -> ScoresAnswer:
        """Return the scores of many rows: each exactly what it would be alone. Raises as `load`."""
        loaded = await self.load(tenant_id, reference, version)
        if isinstance(loaded.model, ExternalEndpoint):
            if len(rows) > MAX_ROWS:
                raise InvalidInput.at("$.rows", f"each row is a call of the service: send at most {MAX_ROWS}")
            outside = self.outside(loaded.entity)
            scores = await outside_rows(outside, tenant_id, loaded.entity, loaded.model, rows)
            return ScoresAnswer(scores=scores, model_version=loaded.version)
        # Ten thousand rows take a while; nobody else shall wait for them.
        found = await asyncio.to_thread(loaded.scorer.score, RowTable(rows))
        scores = np.broadcast_to(found.values, (len(rows), 1))[:, 0].tolist()
        return ScoresAnswer(scores=scores, model_version=loaded.version, **degraded(loaded.entity, found.fallbacks))


def _learner(entity: Entity, source: ModelSource, model: Model) -> Model:
    """Return a model that knows what it learns from, and where that is stored."""
    return as_learner(
        model,
        entity.body,
        source.state,
        model_id=str(entity.id),
        generation=generation_of(entity.body),
        predictors=predictors_of(entity.body, source.state),
    )


def degraded(model: Entity, fallbacks: Fallbacks | None) -> dict[str, Any]:
    """Return what is said of scores that stand in for an imported graph's: nothing where there are none."""
    if fallbacks is None or not fallbacks.any():
        return {}
    first = int(fallbacks[fallbacks != NO_FALLBACK][0])
    return {"engine_type": model.body["modelType"], "degraded": True, "reason": reason_of(first)}
