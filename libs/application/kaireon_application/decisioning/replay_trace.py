"""Replaying: deciding once more from what a trace has kept, as it was or with one thing changed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.compression import zstd
from kaireon_application.decisioning.choose_flow import choose_flow
from kaireon_application.decisioning.compare_decisions import Difference, differences_between
from kaireon_application.decisioning.decided_customer import DecidedCustomer, seed_of
from kaireon_application.decisioning.explain_trace import StoredTrace, Traces, find_trace
from kaireon_application.decisioning.history_columns import contacts_of
from kaireon_application.decisioning.learned_facts import read_learned
from kaireon_application.decisioning.record_trace import content_of
from kaireon_application.decisioning.recorded_inputs import read_inputs
from kaireon_application.decisioning.snapshot import (
    Configuration,
    LiveFlow,
    ModelOrigin,
    PublishedFlow,
    SnapshotContent,
    TenantSnapshot,
    snapshot_of,
)
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.decisioning.tenant_counts import read_counters
from kaireon_application.decisioning.wire import DecisionItem, ShortText
from kaireon_application.errors import InputsExpired, InvalidInput, NotFound
from kaireon_application.experimentation.variant import AS_PUBLISHED, Variant
from kaireon_application.platform.identity import instant_of
from kaireon_core.decisioning.calendar import DAY_MS
from kaireon_core.decisioning.decide import Facts, decide
from kaireon_core.decisioning.flow import Flow, Score
from kaireon_core.decisioning.request import Routing
from kaireon_core.learning.model import ScoringModel

_KEPT_SNAPSHOTS = 8
_OF_DECISIONS = 7


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What to change: the flow that decides, a version of it, or the model that scores. Nothing: decide as it was."""

    decision_flow_key: ShortText | None = None
    model_key: ShortText | None = None
    version: int | None = None

    @property
    def is_counterfactual(self) -> bool:
        """Whether anything is changed."""
        return (self.decision_flow_key, self.model_key, self.version) != (None, None, None)


class Replay(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the same was decided; `decisions`, what would have been, only where something was changed."""

    identical: bool
    differences: list[Difference]
    decisions: list[DecisionItem] | msgspec.UnsetType = msgspec.UNSET


class Archive(Protocol):
    """Reads what decisions were made from. Raises `Unavailable` while Postgres cannot be reached."""

    async def snapshot(self, tenant_id: UUID, hash_: bytes) -> bytes | None:
        """Return the stored content of a snapshot, None once it is gone."""
        ...

    async def models(self, tenant_id: UUID, origins: Mapping[str, ModelOrigin]) -> Mapping[str, ScoringModel]:
        """Return these models in these versions, by key; one that cannot be made again is left out."""
        ...

    async def flow_version(self, tenant_id: UUID, flow_id: UUID, version: int) -> Flow | None:
        """Return a published version of a flow, None when there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayTrace:
    """The use case; one per process. It keeps the latest snapshots that it read."""

    traces: Traces
    archive: Archive
    snapshots: Snapshots
    now_ms: Callable[[], int]
    _kept: OrderedDict[bytes, TenantSnapshot] = field(default_factory=OrderedDict[bytes, TenantSnapshot])

    async def __call__(self, tenant_id: UUID, decision_id: UUID, request: ReplayRequest) -> Replay:
        """Return what deciding again comes to.

        Raises `NotFound` for a decision without trace, or for a flow, version or model to change to; `InputsExpired`
        when its retention is over or its snapshot is gone.
        """
        trace = await self._trace(tenant_id, decision_id)
        snapshot = await self._snapshot(tenant_id, trace)
        recorded = _flow_of(snapshot, trace)
        if request.is_counterfactual:
            snapshot, published = await self._changed(tenant_id, snapshot, recorded, request)
        else:
            published = recorded
        # What is asked instead decides for everybody alike.
        variant = AS_PUBLISHED if request.is_counterfactual else variant_of(trace)
        replay = await asyncio.to_thread(decide_again, snapshot, published, trace, variant)
        return replay if request.is_counterfactual else msgspec.structs.replace(replay, decisions=msgspec.UNSET)

    async def prepared(
        self, tenant_id: UUID, trace: StoredTrace, request: ReplayRequest, candidate: ScoringModel | None = None
    ) -> tuple[TenantSnapshot, PublishedFlow]:
        """Return the flow that decides instead, over the catalogue of the trace.

        `candidate` is the model of the request where it need not be one that may score now.
        Raises `NotFound` for what the request names, `InputsExpired` when the trace's snapshot is gone.
        """
        snapshot = await self._snapshot(tenant_id, trace)
        return await self._changed(tenant_id, snapshot, _flow_of(snapshot, trace), request, candidate)

    async def _trace(self, tenant_id: UUID, decision_id: UUID) -> StoredTrace:
        try:
            return await find_trace(self.traces, tenant_id, decision_id)
        except NotFound:
            settings = (await self.snapshots.current(str(tenant_id))).settings
            oldest_ms = self.now_ms() - settings.retention_days * DAY_MS
            # The id of a decision, a UUIDv7, carries its instant.
            if decision_id.version == _OF_DECISIONS and instant_of(str(decision_id)) < oldest_ms:
                raise InputsExpired from None
            if await self.traces.is_erased(tenant_id, decision_id):
                raise InputsExpired(
                    "what this decision was made from was erased, with everything about its customer"
                ) from None
            raise

    async def _snapshot(self, tenant_id: UUID, trace: StoredTrace) -> TenantSnapshot:
        """Return the snapshot that the trace refers to, made again from what is stored."""
        hash_ = trace.content.snapshot_hash
        found = self._kept.pop(hash_, None)
        if found is None:
            stored = await self.archive.snapshot(tenant_id, hash_)
            if stored is None:
                raise InputsExpired
            content = read_content(zstd.decompress(stored))
            models = await self.archive.models(tenant_id, content.models)
            found = snapshot_of(configuration_of(str(tenant_id), content, models), hash_)
        self._kept[hash_] = found
        if len(self._kept) > _KEPT_SNAPSHOTS:
            self._kept.popitem(last=False)
        return found

    async def _changed(
        self,
        tenant_id: UUID,
        snapshot: TenantSnapshot,
        recorded: PublishedFlow,
        request: ReplayRequest,
        candidate: ScoringModel | None = None,
    ) -> tuple[TenantSnapshot, PublishedFlow]:
        """Return the flow to decide with instead, over the catalogue of the trace."""
        now = await self.snapshots.current(str(tenant_id))
        published, today = recorded, now.configuration.models
        if candidate is not None and request.model_key is not None:
            today = {**today, request.model_key: candidate}
        if request.decision_flow_key is not None:
            chosen = choose_flow(now, request.decision_flow_key, Routing())
            assert chosen is not None  # noqa: S101 - a named flow is found or refused
            published = chosen
        if request.version is not None:
            flow = await self.archive.flow_version(tenant_id, UUID(published.id), request.version)
            if flow is None:
                message = f"the flow '{published.key}' has no version {request.version}"
                raise NotFound.reference("$.version", message)
            published = msgspec.structs.replace(published, version=request.version, flow=flow)
        if request.model_key is not None:
            published = _scored_by(published, request.model_key, today)
        # Models of the trace's time before those of today: only what is changed may differ.
        models = {**today, **snapshot.configuration.models}
        if request.model_key is not None:
            models[request.model_key] = today[request.model_key]
        changed = replace(snapshot.configuration, models=models)
        return snapshot_of(changed, snapshot.hash), published


def variant_of(trace: StoredTrace) -> Variant:
    """Return the variant for which a decision was made."""
    return Variant(name=trace.content.variant, experiment_key=trace.content.experiment_key)


def decide_again(
    snapshot: TenantSnapshot, published: PublishedFlow, trace: StoredTrace, variant: Variant = AS_PUBLISHED
) -> Replay:
    """Return what this flow decides now for a variant from what the trace has kept, beside what the trace says."""
    live = snapshot.variant(snapshot.live(published), variant.name)
    decided = redecided(live, trace)
    replayed = replace(trace, content=content_of(snapshot, live, decided), legend=live.described)
    differences = differences_between(trace, replayed)
    return Replay(identical=not differences, differences=differences, decisions=decided.items(live))


def read_content(stored: bytes) -> SnapshotContent:
    """Return the content of a stored snapshot."""
    return msgspec.json.decode(stored, type=SnapshotContent)


def configuration_of(tenant_id: str, content: SnapshotContent, models: Mapping[str, ScoringModel]) -> Configuration:
    """Return the configuration that a snapshot was made of, as far as its decisions depend on it."""
    return Configuration(
        tenant_id=tenant_id,
        config_version=0,
        settings=content.settings,
        catalogue=content.catalogue,
        outcome_types=(),
        flows=content.flows,
        routes=(),
        model_origins=content.models,
        models=models,
        schema_tables={},
    )


def _flow_of(snapshot: TenantSnapshot, trace: StoredTrace) -> PublishedFlow:
    found = next((flow for flow in snapshot.configuration.flows if flow.id == str(trace.flow_id)), None)
    if found is None:
        raise InputsExpired
    return found


def _scored_by(published: PublishedFlow, model_key: str, models: Mapping[str, ScoringModel]) -> PublishedFlow:
    """Return the flow with this model in its score node. Raises `NotFound` for a model that cannot score now."""
    if model_key not in models:
        raise NotFound.reference("$.modelKey", f"there is no model '{model_key}' that may score now")
    places = [place for place, node in enumerate(published.flow.nodes) if isinstance(node, Score)]
    if not places:
        raise InvalidInput.at("$.modelKey", f"the flow '{published.key}' has no score node")
    nodes = list(published.flow.nodes)
    for place in places:
        nodes[place] = _with_model(nodes[place], model_key)
    return msgspec.structs.replace(published, flow=msgspec.structs.replace(published.flow, nodes=nodes))


def _with_model(node: Any, model_key: str) -> Any:
    config = node.config
    method = "propensity" if config.method == "priority_weighted" else config.method
    return msgspec.structs.replace(node, config=msgspec.structs.replace(config, method=method, model_key=model_key))


def redecided(live: LiveFlow, trace: StoredTrace, seed: int | None = None) -> DecidedCustomer:
    """Return what a flow decides from what a trace has kept; with another seed, where chance has a part, anew."""
    inputs = read_inputs(trace.content)
    decision_id = str(trace.recommendation_id)
    facts = Facts(
        seeds=[seed_of(decision_id) if seed is None else seed],
        customers=[inputs.customer],
        segments=[inputs.segments],
        contacts=contacts_of(live.compiled, [inputs.record.history]),
        counters=read_counters(live.compiled, trace.content.facts),
        learned=read_learned(live.compiled, trace.content.facts),
        fetched=[inputs.fetched],
    )
    return DecidedCustomer(
        customer_id=trace.customer_id,
        record=inputs.record,
        facts=inputs.customer,
        segments=inputs.segments,
        fetched=inputs.fetched,
        request=inputs.request,
        decisions=decide(live.compiled, inputs.request, facts),
        index=0,
        ids=[decision_id, decision_id],
        load_ms=0.0,
        enrichment_ms=0.0,
    )
