"""What decisions were made from, in Postgres: snapshots by content, models and flows by version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from kaireon_application.decisioning.publish_flow import readable_flows
from kaireon_application.decisioning.snapshot import ModelOrigin
from kaireon_application.errors import InvalidInput
from kaireon_application.learning.imported_graph import LoadedGraphs
from kaireon_application.learning.learners import as_learner
from kaireon_core.decisioning.call_flow import inline_calls
from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.learning.compile import Graphs, ModelNotReady, compile_model
from kaireon_core.learning.gradient_boosted import Trees
from kaireon_core.learning.model import ScoringModel
from kaireon_core.problems import InvalidValue
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries


class PostgresArchive:
    """Implements `Archive`; `load_trees` makes an ensemble of its stored text, `graphs` imported models."""

    def __init__(self, database: Database, load_trees: Callable[[str], Trees], graphs: LoadedGraphs) -> None:
        """Read through this database."""
        self._database = database
        self._graphs = graphs
        self._load_trees = load_trees

    async def snapshot(self, tenant_id: UUID, hash_: bytes) -> bytes | None:
        """Return the stored content of a snapshot, None once it is gone."""
        async with self._database.transaction(tenant_id) as connection:
            row = await queries("history").get_snapshot(connection, tenant_id=tenant_id, hash=hash_)
        return None if row is None else row["content"]

    async def models(self, tenant_id: UUID, origins: Mapping[str, ModelOrigin]) -> Mapping[str, ScoringModel]:
        """Return these models in these versions, by key; one that cannot be made again is left out."""
        states = dict[str, Any]()
        async with self._database.transaction(tenant_id) as connection:
            for key, origin in origins.items():
                row = await queries("model_versions").get_version(
                    connection, tenant_id=tenant_id, model_id=UUID(origin.id), version=origin.version
                )
                states[key] = origin.state or (None if row is None else row["state"])
        graphs = await self._graphs.loaded(
            tenant_id, ((origin.model_type, states[key]) for key, origin in origins.items())
        )
        return await asyncio.to_thread(lambda: dict(self._compiled(origins, states, graphs)))

    async def flow_version(self, tenant_id: UUID, flow_id: UUID, version: int) -> Flow | None:
        """Return a published version of a flow, None when there is none; what it calls is as it is now.

        Raises `InvalidInput` when one of its calls cannot be run any more.
        """
        async with self._database.transaction(tenant_id) as connection:
            sql = queries("flows")
            row = await sql.get_version(connection, tenant_id=tenant_id, flow_id=flow_id, version=version)
            others = [one async for one in sql.live_versions(connection, tenant_id=tenant_id)]
        if row is None:
            return None
        live = dict(readable_flows((one["key"], one["config"]) for one in others))
        try:
            return inline_calls(parse_flow(row["config"], FlowKind.DRAFT), live)
        except InvalidValue as error:
            raise InvalidInput.at("$.version", f"this version cannot run any more: {error}") from None

    def _compiled(
        self, origins: Mapping[str, ModelOrigin], states: Mapping[str, Any], graphs: Graphs
    ) -> Iterable[tuple[str, ScoringModel]]:
        for key, origin in origins.items():
            try:
                model = compile_model(origin.model_type, origin.config, states[key], self._load_trees, graphs)
            except (ModelNotReady, InvalidValue):
                continue
            # What it had learned stands in the trace, whatever its generation was.
            made_of = {"modelType": origin.model_type, "config": origin.config}
            learner = as_learner(
                model, made_of, states[key], model_id=origin.id, generation=0, predictors=origin.predictors
            )
            yield key, ScoringModel(model_type=origin.model_type, model=learner)
