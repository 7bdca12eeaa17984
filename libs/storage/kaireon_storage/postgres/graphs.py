"""Imported graphs in Postgres, and those of them that are ready to run in this process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

import msgspec

from kaireon_core.learning.compile import Graphs, ModelNotReady, State, imported_graph
from kaireon_core.learning.onnx_graph import GraphOutput
from kaireon_core.learning.onnx_imported import Predict
from kaireon_runtime.logs import logger
from kaireon_storage.learning.onnx_session import RunWatch, load_session
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries

_PART_BYTES = 8 * 1024 * 1024
# What is used by nobody now is kept up to this many bytes of graphs; what a snapshot uses is there anyway.
_KEPT_BYTES = 256 * 1024 * 1024


class PostgresGraphs:
    """Implements `GraphStore` and `LoadedGraphs`: a graph never changes, so that its hash is its key."""

    def __init__(self, database: Database) -> None:
        """Take an open database; nothing is loaded yet."""
        self._database = database
        self._sql: Any = queries("graphs")
        self._watch = RunWatch()
        self._ready = WeakValueDictionary[tuple[UUID, str], Predict]()
        self._kept = OrderedDict[tuple[UUID, str], tuple[int, Predict]]()
        # One at a time: a graph that many wait for is loaded once, and memory is needed for one.
        self._loading = asyncio.Lock()

    async def add(self, tenant_id: UUID, hash_sha256: str, content: bytes) -> None:
        """Keep a graph; again is no change."""
        async with self._database.transaction(tenant_id) as connection:
            for number, start in enumerate(range(0, len(content), _PART_BYTES)):
                part = content[start : start + _PART_BYTES]
                await self._sql.insert_graph_part(
                    connection, tenant_id=tenant_id, hash=hash_sha256, number=number, content=part
                )

    async def loaded(self, tenant_id: UUID, models: Iterable[tuple[str, State | None]]) -> Graphs:
        """Return the graphs of these models (type, state) by hash; what cannot be loaded is left out."""
        wanted = {hash_: state for type_, state in models if (hash_ := imported_graph(type_, state)) and state}
        found = dict[str, Predict]()
        for hash_, state in wanted.items():
            try:
                output = msgspec.convert(state["output"], GraphOutput)
                found[hash_] = await self._graph(tenant_id, hash_, output)
            except (ModelNotReady, KeyError, msgspec.ValidationError) as error:
                logger("kaireon.graphs").error("a graph cannot be loaded", hash=hash_, reason=str(error))
        return found

    async def _graph(self, tenant_id: UUID, hash_: str, output: GraphOutput) -> Predict:
        key = tenant_id, hash_
        async with self._loading:
            found = self._ready.get(key)
            if found is None:
                content = await self._content(tenant_id, hash_)
                found = await asyncio.to_thread(load_session, content, output, self._watch)
                self._ready[key] = found
                self._kept[key] = len(content), found
                while sum(size for size, _ in self._kept.values()) > _KEPT_BYTES and len(self._kept) > 1:
                    self._kept.popitem(last=False)
            elif key in self._kept:
                self._kept.move_to_end(key)
        return found

    async def _content(self, tenant_id: UUID, hash_: str) -> bytes:
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.graph_parts(connection, tenant_id=tenant_id, hash=hash_)
            parts = [row["content"] async for row in rows]
        if not parts:
            message = "its graph is not there"
            raise ModelNotReady(message)
        return b"".join(parts)
