"""Reading everything that a tenant configured, at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from kaireon_application.customers.schema_table import SchemaTable, table_of
from kaireon_application.decisioning.publish_flow import readable_flows
from kaireon_application.decisioning.snapshot import (
    Configuration,
    DecisionSettings,
    FlowRoute,
    ModelOrigin,
    PublishedFlow,
)
from kaireon_application.engagement.listeners import build_listeners
from kaireon_application.errors import NotFound
from kaireon_application.learning.endpoint_rules import without_token
from kaireon_application.learning.imported_graph import LoadedGraphs
from kaireon_application.learning.learners import LEARNING_TYPES, as_learner, generation_of, learners, predictors_of
from kaireon_application.learning.model_source import current_state
from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.decisioning.call_flow import inline_calls
from kaireon_core.learning.compile import Graphs, ModelNotReady, compile_model
from kaireon_core.learning.gradient_boosted import Trees
from kaireon_core.learning.model import ScoringModel
from kaireon_core.problems import InvalidValue
from kaireon_runtime.logs import logger
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from kaireon_storage.postgres.database import Database, Row

_NEVER_SCORING = frozenset({"draft", "archived"})


class PostgresConfiguration:
    """Implements `ConfigurationSource`; `load_trees` makes an ensemble of its stored text, `graphs` imported models."""

    def __init__(self, database: Database, load_trees: Callable[[str], Trees], graphs: LoadedGraphs) -> None:
        """Read through this database."""
        self._database = database
        self._graphs = graphs
        self._load_trees = load_trees
        self._sql = queries("configuration")

    async def load(self, tenant_id: str) -> Configuration:
        """Return everything of one tenant, at one instant. Raises `NotFound` for an unknown tenant."""
        names = ("tenant_configuration", "living_entities", "live_flow_versions", "newest_model_versions")
        statements = [(getattr(self._sql, name).sql, {"tenant_id": tenant_id}) for name in names]
        tenants, entities, flow_versions, model_versions = await self._database.together(tenant_id, statements)
        if not tenants:
            raise NotFound
        documents = _by_kind(entities)
        states = {row["model_id"]: row for row in model_versions}
        scoring = [one for one in documents["algorithm_model"] if _may_score(one)]
        graphs = await self._graphs.loaded(
            UUID(tenant_id), ((one.body["modelType"], one.body.get("modelState")) for one in scoring)
        )
        # In a thread: trees take long to read, and the first ones load LightGBM.
        models = await asyncio.to_thread(lambda: dict(self._models(scoring, states, graphs)))
        return Configuration(
            tenant_id=tenant_id,
            config_version=tenants[0]["config_version"],
            settings=msgspec.convert(tenants[0]["settings"], DecisionSettings),
            catalogue=_catalogue(documents),
            outcome_types=tuple(documents["outcome_type"]),
            flows=tuple(_flows(documents["decision_flow"], {row["flow_id"]: row for row in flow_versions})),
            routes=tuple(_routes(documents["flow_route"])),
            model_origins={
                document.key: _origin(document, states.get(document.id))
                for document in documents["algorithm_model"]
                if document.key in models
            },
            models=models,
            unready={document.key: document.body["modelType"] for document in scoring if document.key not in models},
            schema_tables=dict(_tables(documents["schema"])),
            experiments=tuple(documents["experiment"]),
            segments=tuple(documents["segment"]),
            listeners=build_listeners(documents["journey"], documents["trigger"]),
            learners=tuple(learners(documents["algorithm_model"], _current_states(documents, states))),
        )

    async def tenants(self) -> list[str]:
        """Return the ids of all tenants."""
        async with self._database.system_transaction() as connection:
            return [row["tenant_id"] async for row in self._sql.all_tenants(connection)]

    async def versions(self, tenant_ids: Collection[str]) -> dict[str, int]:
        """Return the current `config_version` of these tenants."""
        async with self._database.system_transaction() as connection:
            rows = self._sql.config_versions(connection, tenant_ids=list(tenant_ids))
            return {row["tenant_id"]: row["config_version"] async for row in rows}

    async def store(self, tenant_id: str, hash_: bytes, kind: str, content: bytes) -> None:
        """Keep content-addressed bytes; again is no change."""
        async with self._database.transaction(tenant_id) as connection:
            await queries("decisions").store_snapshot(
                connection, tenant_id=tenant_id, hash=hash_, kind=kind, content=content
            )

    def _models(
        self, documents: Iterable[Document], states: dict[str, Row], graphs: Graphs
    ) -> Iterable[tuple[str, ScoringModel]]:
        """Yield those of the models that can score now, by key."""
        log = logger("kaireon.configuration")
        for document in documents:
            body = document.body
            state = current_state(body, _state(states.get(document.id)))
            try:
                model = compile_model(body["modelType"], body.get("config") or {}, state, self._load_trees, graphs)
            except (ModelNotReady, InvalidValue) as error:
                log.debug("a model cannot score", modelKey=document.key, reason=str(error))
                continue
            learner = as_learner(
                model,
                body,
                state,
                model_id=document.id,
                generation=generation_of(body),
                predictors=predictors_of(body, state),
            )
            yield document.key, ScoringModel(model_type=body["modelType"], model=learner)


def _may_score(document: Document) -> bool:
    return document.status == "active" and document.body.get("registryStatus") not in _NEVER_SCORING


def _current_states(documents: dict[str, list[Document]], versions: dict[str, Row]) -> dict[str, dict[str, Any] | None]:
    """Return the current state of every model that may learn, by id."""
    models = (one for one in documents["algorithm_model"] if one.body["modelType"] in LEARNING_TYPES)
    return {one.id: current_state(one.body, _state(versions.get(one.id))) for one in models}


def _state(version: Row | None) -> dict[str, Any] | None:
    return version["state"] if version else None


def _origin(document: Document, version: Row | None) -> ModelOrigin:
    return ModelOrigin(
        id=document.id,
        version=version["version"] if version and document.body.get("lastTrainedAt") else 0,
        model_type=document.body["modelType"],
        # Traces refer to it for ever, and a replay calls nobody.
        config=without_token(document.body.get("config") or {}),
        state=document.body.get("modelState") or None,
        predictors=predictors_of(document.body, current_state(document.body, _state(version))),
    )


def _by_kind(rows: Iterable[Row]) -> dict[str, list[Document]]:
    documents = defaultdict[str, list[Document]](list)
    for row in rows:
        documents[row["kind"]].append(
            Document(
                id=row["id"],
                key=row["key"],
                name=row["name"],
                status=row["status"],
                body=row["body"],
                created_at=_iso(row["created_at"]),
                updated_at=_iso(row["updated_at"]),
            )
        )
    return documents


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds")


def _catalogue(documents: dict[str, list[Document]]) -> Catalogue:
    return Catalogue(
        offers=tuple(documents["offer"]),
        creatives=tuple(documents["creative"]),
        channels=tuple(documents["channel"]),
        placements=tuple(documents["placement"]),
        categories=tuple(documents["category"]),
        sub_categories=tuple(documents["sub_category"]),
        qualification_rules=tuple(documents["qualification_rule"]),
        contact_policies=tuple(documents["contact_policy"]),
        behavioral_metrics=tuple(documents["behavioral_metric"]),
        ranking_profiles=tuple(documents["ranking_profile"]),
        guardrails=tuple(documents["guardrail"]),
        frequency_caps=tuple(documents["frequency_cap"]),
    )


def _flows(documents: Iterable[Document], versions: dict[str, Row]) -> Iterable[PublishedFlow]:
    """Yield the active flows, their calls replaced by what the flows that they call, active or not, say now."""
    published = [document for document in documents if document.id in versions]
    flows = dict(readable_flows((document.key, versions[document.id]["config"]) for document in published))
    for document in published:
        if document.status != "active" or document.key not in flows:
            continue
        row = versions[document.id]
        try:
            flow = inline_calls(flows[document.key], flows, document.key)
        except InvalidValue as error:
            # It was checked when it was published; since then a flow that it calls got another key.
            logger("kaireon.configuration").error("a flow cannot run", flowKey=document.key, reason=str(error))
            continue
        yield PublishedFlow(
            id=document.id,
            key=document.key,
            name=document.name,
            status=document.status,
            version=row["version"],
            flow=flow,
            published_at=_iso(row["published_at"]),
            is_default=bool(document.body.get("isDefault")),
            coupling_override=document.body.get("couplingOverride"),
        )


def _routes(documents: Iterable[Document]) -> Iterable[FlowRoute]:
    for document in documents:
        if document.status == "active":
            yield msgspec.convert(document.body, FlowRoute)


def _tables(documents: Iterable[Document]) -> Iterable[tuple[str, SchemaTable]]:
    for document in documents:
        table = table_of(document.body)
        yield document.id, table
        yield document.key, table
