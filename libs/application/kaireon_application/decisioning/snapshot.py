"""What one process decides from: everything a tenant configured, compiled, immutable, swapped by one assignment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from kaireon_application.compression import zstd
from kaireon_application.customers.schema_table import SchemaTable
from kaireon_application.decisioning.facts import Sources
from kaireon_application.decisioning.items import ItemWriter
from kaireon_application.decisioning.libraries import installed_libraries
from kaireon_application.decisioning.metric_query import metric_queries
from kaireon_application.decisioning.stored_segments import StoredSegment, stored_segments
from kaireon_application.decisioning.trace import TraceCodec
from kaireon_application.decisioning.wire import CoupledChannel, DecisionMeta
from kaireon_application.engagement.listeners import Listeners
from kaireon_application.experimentation.variant import CONTROL, Split, split_of, variant_flow
from kaireon_application.learning.external_scoring import sent_offer
from kaireon_application.learning.learners import LearnerDefinition
from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.decisioning.compile import CompiledFlow, Needs, compile_flow
from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.reasons import Reason, StageSpan
from kaireon_core.decisioning.request import DecisionRequest
from kaireon_core.decisioning.scored_by import NOBODY, ScoredBy, scored_by
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.model import ScoringModel

_LEGEND_COMPRESSION = 6


class DecisionSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The tenant settings that decisions depend on."""

    timezone: str = "UTC"
    max_offers_per_decision: int = 100
    decision_trace_enabled: bool = True
    decision_trace_sample_rate: float = 1.0
    retention_days: int = 365
    max_mandatory_per_day: int = 5
    holdout_percentage: float = 0
    enable_experiments: bool = True


class PublishedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """The live version of a flow; `published_at` is an ISO instant in UTC."""

    id: str
    key: str
    name: str
    status: str
    version: int
    flow: Flow
    published_at: str
    is_default: bool = False
    coupling_override: str | None = None


class FlowRoute(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Sends requests of a channel and placement (ids, None = any) to a flow; the highest priority wins."""

    decision_flow_id: str
    channel_id: str | None = None
    placement_id: str | None = None
    priority: int = 0


class ModelOrigin(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a model that may score was made of; version 0 was never trained, `state` is one written by hand."""

    id: str
    version: int
    model_type: str
    config: dict[str, Any]
    state: dict[str, Any] | None = None
    # Of a model that learns from the features of decisions: which.
    predictors: list[str] | None = None


class SnapshotContent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a snapshot is stored as: all that its decisions depend on but facts; trained states are kept by version."""

    settings: DecisionSettings
    catalogue: Catalogue
    flows: tuple[PublishedFlow, ...]
    models: dict[str, ModelOrigin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that a tenant configured, as loaded at one `config_version`; models are compiled already."""

    tenant_id: str
    config_version: int
    settings: DecisionSettings
    catalogue: Catalogue
    outcome_types: tuple[Document, ...]
    flows: tuple[PublishedFlow, ...]
    routes: tuple[FlowRoute, ...]
    # What the models that may score now were made of, by key.
    model_origins: Mapping[str, ModelOrigin]
    models: Mapping[str, ScoringModel]
    # The tables that flows may enrich from, by schema id and by key.
    schema_tables: Mapping[str, SchemaTable]
    # The types of the models that would score but cannot yet, by key.
    unready: Mapping[str, str] = field(default_factory=dict[str, str])
    experiments: tuple[Document, ...] = ()
    segments: tuple[Document, ...] = ()
    # The models that every response teaches.
    learners: tuple[LearnerDefinition, ...] = ()
    # What journeys and triggers wait for.
    listeners: Listeners = field(default_factory=Listeners)


class CandidateEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One candidate in a legend."""

    offer_id: str
    offer_key: str
    offer_name: str
    creative_id: str | None
    creative_name: str | None
    channel_id: str | None
    placement_id: str | None


class Legend(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the columns of a trace mean: the candidates and reasons of a compiled flow, stored once by content.

    `fields` are the names that the facts of a customer may have, `libraries` the releases that computed.
    """

    fields: list[str]
    candidates: list[CandidateEntry]
    reasons: list[Reason]
    spans: list[StageSpan]
    model_type: str | None
    model_key: str | None
    libraries: str = ""

    def codec(self) -> TraceCodec:
        """Return what reads and writes the traces of this legend."""
        ids = [(one.offer_id, one.creative_id, one.channel_id) for one in self.candidates]
        return TraceCodec(msgspec.msgpack.encode((self.fields, ids)))


@dataclass(slots=True, kw_only=True)
class LiveFlow:
    """A published flow in executable form, and its legend; `is_stored` once the legend can be looked up."""

    published: PublishedFlow
    compiled: CompiledFlow
    # The stored segments that it looks at, and what must be loaded for a decision: their rows too.
    segments: tuple[StoredSegment, ...]
    needs: Needs
    items: ItemWriter
    meta: DecisionMeta
    channel_types: frozenset[str]
    described: Legend
    legend: bytes
    legend_hash: bytes
    traces: TraceCodec
    # How its customers are split between models, None without an experiment that runs.
    split: Split | None = None
    # Which of its models scores which candidate.
    scored_by: ScoredBy = NOBODY
    # Whether one of the models that it may ask is a service.
    calls_out: bool = False
    is_stored: bool = False
    # Its forms for variants, made when they are first asked for.
    variants: dict[str, LiveFlow] = field(default_factory=dict[str, Any])
    # What of all customers any of its forms looks at; see `TenantSnapshot.counting`.
    counting: Needs | None = None

    def coupled(self, channel: int, request: DecisionRequest) -> CoupledChannel:
        """Return what is said of a channel (its place in the catalogue) whose placements were emptied."""
        document = self.compiled.candidates.catalogue.channels[channel]
        cells = self.compiled.placing.cells(request)
        mine = [cell for cell in cells.cells if cell.channel == channel] if cells else []
        return CoupledChannel(
            channel_id=document.id,
            channel_key=document.key,
            placements=[cell.placement.id if cell.placement else cell.name for cell in mine],
        )


@dataclass(kw_only=True)
class TenantSnapshot:
    """One tenant's configuration; flows are compiled when first used."""

    configuration: Configuration
    content: bytes
    hash: bytes
    zone: ZoneInfo
    outcome_types: Mapping[str, Document]
    is_stored: bool = False
    _live: dict[str, LiveFlow] = field(default_factory=dict[str, LiveFlow])
    _places: dict[str, dict[str, Document]] = field(default_factory=dict[str, dict[str, Document]])

    @property
    def settings(self) -> DecisionSettings:
        """The tenant settings that decisions depend on."""
        return self.configuration.settings

    @cached_property
    def sources(self) -> Sources:
        """What the needs of flows name."""
        configuration = self.configuration
        return Sources(
            tables=configuration.schema_tables,
            metrics=metric_queries(configuration.catalogue.behavioral_metrics),
            config_version=configuration.config_version,
        )

    @cached_property
    def sent_offers(self) -> list[msgspec.Raw]:
        """The offers as services that score them are sent them, in the order of the catalogue."""
        categories = {document.id: document.key for document in self.configuration.catalogue.categories}
        return [
            sent_offer(offer, categories.get(str(offer.body.get("categoryId"))))
            for offer in self.configuration.catalogue.offers
        ]

    @cached_property
    def learned_fields(self) -> tuple[str, ...]:
        """The names that models learn from: decisions keep their values."""
        return tuple(dict.fromkeys(field for learner in self.configuration.learners for field in learner.fields))

    @property
    def version(self) -> str:
        """The snapshot's public version: the beginning of its content hash."""
        return self.hash.hex()[:16]

    def find(self, collection: str, reference: str | None) -> Document | None:
        """Return the document of a collection of the catalogue (`offers`, ...) that an id or key names."""
        if reference is None:
            return None
        places = self._places.get(collection)
        if places is None:
            documents: tuple[Document, ...] = getattr(self.configuration.catalogue, collection)
            places = {document.key: document for document in documents}
            places |= {document.id: document for document in documents}
            self._places[collection] = places
        return places.get(reference)

    def live(self, published: PublishedFlow) -> LiveFlow:
        """Return the executable form of one of this snapshot's flows."""
        found = self._live.get(published.id)
        if found is None:
            found = self._live[published.id] = _compile(self, published)
        return found

    def variant(self, live: LiveFlow, name: str | None) -> LiveFlow:
        """Return the form in which a flow decides for a variant; itself where there is none."""
        if name is None:
            return live
        found = live.variants.get(name)
        if found is None:
            varied = msgspec.structs.replace(live.published, flow=variant_flow(live.published.flow, name))
            found = live.variants[name] = _compile(self, varied)
        return found

    def forms(self, live: LiveFlow) -> list[LiveFlow]:
        """Return every form in which a flow may decide for a customer, itself included."""
        names = live.split.variants if live.split else []
        names += [CONTROL] if self.settings.holdout_percentage > 0 else []
        return [live, *(self.variant(live, name) for name in dict.fromkeys(names))]

    def counting(self, live: LiveFlow) -> Needs:
        """Return what of all customers any form of a flow looks at."""
        if live.counting is None:
            forms = [form.compiled.needs for form in self.forms(live)]
            live.counting = msgspec.structs.replace(
                live.compiled.needs,
                counters=any(needs.counters for needs in forms),
                evidence=any(needs.evidence for needs in forms),
                learned=tuple(dict.fromkeys(one for needs in forms for one in needs.learned)),
            )
        return live.counting

    def trial(self, published: PublishedFlow) -> LiveFlow:
        """Return the executable form of a flow that is none of this snapshot's; it is not kept."""
        return _compile(self, published)


def build_snapshot(configuration: Configuration) -> TenantSnapshot:
    """Return the snapshot of a configuration; its hash is that of its content and names it for ever."""
    described = SnapshotContent(
        settings=configuration.settings,
        catalogue=configuration.catalogue,
        flows=configuration.flows,
        models=dict(configuration.model_origins),
    )
    content = msgspec.json.encode(described, order="deterministic")
    return snapshot_of(configuration, hashlib.sha256(content).digest(), content)


def snapshot_of(configuration: Configuration, hash_: bytes, content: bytes = b"") -> TenantSnapshot:
    """Return the snapshot of a configuration whose content has this hash; `content` only where it will be stored."""
    return TenantSnapshot(
        configuration=configuration,
        content=content,
        hash=hash_,
        zone=ZoneInfo(configuration.settings.timezone),
        outcome_types={document.key: document for document in configuration.outcome_types},
    )


def _compile(snapshot: TenantSnapshot, published: PublishedFlow) -> LiveFlow:
    compiled = compile_flow(
        published.flow,
        snapshot.configuration.catalogue,
        snapshot.configuration.models,
        zone=snapshot.zone,
        max_offers=snapshot.settings.max_offers_per_decision,
        coupling=published.coupling_override,
        unready=snapshot.configuration.unready,
        max_mandatory=snapshot.settings.max_mandatory_per_day,
    )
    needs, tables = compiled.needs, snapshot.configuration.schema_tables
    segments = stored_segments(snapshot.configuration.segments, tables, needs.history.segments, needs.enrichments)
    rows = dict.fromkeys((*needs.enrichments, *(segment.enrichment for segment in segments)))
    legend = _legend(compiled, snapshot.configuration.schema_tables)
    content = zstd.compress(msgspec.json.encode(legend), _LEGEND_COMPRESSION)
    is_split = snapshot.settings.enable_experiments
    split = split_of(published.flow, published.key, snapshot.configuration.experiments) if is_split else None
    assignment_of = split.key if split else None
    return LiveFlow(
        published=published,
        compiled=compiled,
        segments=segments,
        split=split,
        scored_by=scored_by(published.flow, compiled.candidates),
        calls_out=compiled.calls_out or _is_split_outside(split, snapshot.configuration.models),
        needs=msgspec.structs.replace(needs, enrichments=tuple(rows), assignment_of=assignment_of),
        items=ItemWriter(compiled),
        meta=DecisionMeta(decision_flow_key=published.key, decision_flow_id=published.id),
        channel_types=frozenset(
            str(channel.body.get("channelType")) for channel in snapshot.configuration.catalogue.channels
        ),
        described=legend,
        legend=content,
        legend_hash=hashlib.sha256(content).digest(),
        traces=legend.codec(),
    )


def _is_split_outside(split: Split | None, models: Mapping[str, ScoringModel]) -> bool:
    arms = [models.get(key) for key, _ in split.arms] if split else []
    return any(arm is not None and isinstance(arm.model, ExternalEndpoint) for arm in arms)


def _legend(compiled: CompiledFlow, tables: Mapping[str, SchemaTable]) -> Legend:
    candidates = compiled.candidates
    offers, creatives = candidates.catalogue.offers, candidates.catalogue.creatives
    rows: Iterable[tuple[int, int]] = zip(candidates.offer.tolist(), candidates.creative.tolist(), strict=True)
    enriched = [tables[one.schema_id] for one in compiled.needs.enrichments if one.schema_id in tables]
    return Legend(
        fields=[column.name for table in enriched for column in table.columns],
        candidates=[_entry(offers[offer], creatives[creative] if creative >= 0 else None) for offer, creative in rows],
        reasons=list(compiled.reasons),
        spans=list(compiled.spans),
        model_type=compiled.model_type,
        model_key=compiled.model_key,
        libraries=installed_libraries(),
    )


def _entry(offer: Document, creative: Document | None) -> CandidateEntry:
    body: dict[str, Any] = creative.body if creative else {}
    return CandidateEntry(
        offer_id=offer.id,
        offer_key=offer.key,
        offer_name=offer.name,
        creative_id=creative.id if creative else None,
        creative_name=creative.name if creative else None,
        channel_id=body.get("channelId"),
        placement_id=body.get("placementId"),
    )


def decode_legend(content: bytes) -> Legend:
    """Return a stored legend."""
    return msgspec.json.decode(zstd.decompress(content), type=Legend)
