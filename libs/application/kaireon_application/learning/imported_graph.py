"""Graphs that are imported: who looks at them, who keeps them, and who makes them run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_core.learning.compile import Graphs, State
from kaireon_core.learning.onnx_graph import GraphInput, GraphOutput
from kaireon_core.learning.onnx_imported import FeatureDefaults, FeatureNames


class InspectedGraph(msgspec.Struct, frozen=True, kw_only=True):
    """What a graph takes, in the order of its features, and where its scores stand."""

    inputs: tuple[GraphInput, ...]
    output: GraphOutput


class InspectGraph(Protocol):
    """Looks at a file before anything of it is stored."""

    async def __call__(self, content: bytes, names: FeatureNames, defaults: FeatureDefaults) -> InspectedGraph:
        """Return what the graph is. Raises `InvalidInput` when it is none, or does not take these features."""
        ...


class GraphStore(Protocol):
    """Keeps the bytes of graphs by their hash. Raises `Unavailable` while the storage is down."""

    async def add(self, tenant_id: UUID, hash_sha256: str, content: bytes) -> None:
        """Keep a graph; again is no change."""
        ...


class LoadedGraphs(Protocol):
    """Makes stored graphs run, and keeps the latest used. Raises `Unavailable` while the storage is down."""

    async def loaded(self, tenant_id: UUID, models: Iterable[tuple[str, State | None]]) -> Graphs:
        """Return the graphs of these models (type, state) by hash; what cannot be loaded is left out."""
        ...
