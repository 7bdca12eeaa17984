"""From stored models to models that score."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entity
from kaireon_application.learning.versions import ModelVersion
from kaireon_core.learning.compile import Graphs, LoadTrees, compile_model
from kaireon_core.learning.model import Model


class ModelSource(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is compiled from: its stored thing and, when it was trained, its newest version.

    `version` is 0 for a model that was never trained. Equal sources compile to equal models.
    """

    id: UUID
    key: str
    name: str
    status: str
    registry_status: str
    family: str
    model_type: str
    config: dict[str, Any]
    version: int
    state: dict[str, Any] | None


def current_state(body: Mapping[str, Any], version_state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a model scores with now, None when it has learnt nothing.

    A state written by hand beats the newest version's, until the next training clears it; after its learning was reset
    a model is as never trained, whatever versions it has.
    """
    written = body.get("modelState")
    if written:
        return dict(written)
    if version_state is None or body.get("lastTrainedAt") is None:
        return None
    return dict(version_state)


def model_source(model: Entity, version: ModelVersion | None, *, is_pinned: bool = False) -> ModelSource:
    """Return the source of a model and its newest version (None: never trained), or of just this one if pinned."""
    state = version.state if version else None
    return ModelSource(
        id=model.id,
        key=model.key,
        name=model.name,
        status=model.status,
        registry_status=str(model.body["registryStatus"]),
        family=str(model.body["family"]),
        model_type=str(model.body["modelType"]),
        config=dict(model.body.get("config") or {}),
        version=version.version if version else 0,
        state=state if is_pinned else current_state(model.body, state),
    )


def compile_source(source: ModelSource, load_trees: LoadTrees, graphs: Graphs = MappingProxyType({})) -> Model:
    """Return the model of a source. Raises `ModelNotReady` when it cannot score, `InvalidValue` when it is damaged."""
    return compile_model(source.model_type, source.config, source.state, load_trees, graphs)
