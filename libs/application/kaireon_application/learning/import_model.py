"""Register a model that was trained elsewhere, as an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Literal

import msgspec

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.catalog.fields import Name
from kaireon_application.catalog.kind import Caller, Change
from kaireon_application.catalog.write_entity import create_entity
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL, NewAlgorithmModel
from kaireon_application.learning.imported_graph import GraphStore, InspectGraph
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.onnx_imported import FeatureDefaults, FeatureNames, OnnxState
from kaireon_core.problems import Problem

MAX_GRAPH_BYTES = 100 * 1024 * 1024


class ImportForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is said of an imported graph: the names of its features in their order, and what counts for a missing one.

    `family` is what is imported; there is one such thing.
    """

    name: Name
    feature_names: FeatureNames
    feature_defaults: FeatureDefaults = msgspec.field(default_factory=FeatureDefaults)
    family: Literal["onnx_imported"] = "onnx_imported"


def _sound(_change: Change) -> Iterable[Problem]:
    return ()


# The state of a model of this type is written here and nowhere else.
_IMPORTED = replace(ALGORITHM_MODEL, problems=_sound)


async def import_model(
    entities: Entities, graphs: GraphStore, inspect: InspectGraph, caller: Caller, form: ImportForm, content: bytes
) -> Entity:
    """Store a graph and the model that scores with it. Raises `InvalidInput`."""
    found = await inspect(content, form.feature_names, form.feature_defaults)
    state = OnnxState(
        bytes_hash_sha256=sha256(content).hexdigest(),
        bytes_count=len(content),
        feature_names=form.feature_names,
        feature_defaults=form.feature_defaults,
        inputs=found.inputs,
        output=found.output,
    )
    await graphs.add(caller.tenant_id, state.bytes_hash_sha256, content)
    model = NewAlgorithmModel(
        name=form.name, model_type=ModelType.ONNX_IMPORTED, model_state=msgspec.to_builtins(state)
    )
    return await create_entity(entities, _IMPORTED, caller, model)
