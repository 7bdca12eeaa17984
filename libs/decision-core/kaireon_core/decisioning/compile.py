"""From a published flow and a catalogue to the arrays and operations that decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import TypeAlias, TypeVar, cast
from zoneinfo import ZoneInfo

import msgspec

from kaireon_core.catalog.document import Catalogue
from kaireon_core.column import Column
from kaireon_core.decisioning.candidates import Candidates, build_candidates
from kaireon_core.decisioning.cells import Placing, compile_placing
from kaireon_core.decisioning.chances import Chances, compile_chances
from kaireon_core.decisioning.conditional import compile_conditional
from kaireon_core.decisioning.constraints import compile_constraints, is_constrained
from kaireon_core.decisioning.contact_policy import compile_contact_policy
from kaireon_core.decisioning.counters import Counters
from kaireon_core.decisioning.explore import compile_explore
from kaireon_core.decisioning.extension import PostRank, compile_post_rank, compile_pre_score, compile_score_override
from kaireon_core.decisioning.fill import Filler, compile_fill
from kaireon_core.decisioning.filtering import compile_filter
from kaireon_core.decisioning.flow import (
    AnyNode,
    Conditional,
    ContactPolicyNode,
    Enrich,
    ExtensionPoint,
    Filter,
    Flow,
    Group,
    Inventory,
    MatchCreatives,
    Node,
    Optimize,
    Qualify,
    Rank,
    Response,
    Score,
    branches_of,
    in_run_order,
)
from kaireon_core.decisioning.flow_parts import Hook
from kaireon_core.decisioning.formulas import FlowFormula
from kaireon_core.decisioning.guardrails import active_guardrails, compile_guardrails
from kaireon_core.decisioning.history_needs import NOTHING, HistoryNeeds
from kaireon_core.decisioning.inventory import compile_inventory
from kaireon_core.decisioning.mandatory import MANDATORY_SCORE, Mandatory, compile_daily_cap, compile_mandatory
from kaireon_core.decisioning.match_creatives import compile_match_creatives
from kaireon_core.decisioning.optimize import compile_optimize
from kaireon_core.decisioning.output import Output, compile_output
from kaireon_core.decisioning.qualify import EVALUATED_RULE_TYPES, compile_qualify
from kaireon_core.decisioning.rank import Ranker, compile_rank
from kaireon_core.decisioning.reasons import LegendBuilder, Reason, StageSpan
from kaireon_core.decisioning.score import compile_score
from kaireon_core.decisioning.scorer import Scorer, asks_of
from kaireon_core.decisioning.shadows import Shadow, compile_shadows
from kaireon_core.decisioning.state import Stage
from kaireon_core.learning.learned import LearnerReference
from kaireon_core.learning.model import Model, ScoringModel
from kaireon_core.table import Axis, axis_of


class Enrichment(msgspec.Struct, frozen=True, kw_only=True):
    """A customer row that a flow needs; no `fields` means all columns."""

    schema_id: str
    lookup_key: str
    fields: tuple[str, ...]
    cache_ttl_seconds: int

    @property
    def row_key(self) -> str:
        """What a customer's row is kept under: the same schema may be looked up by different columns."""
        return f"{self.schema_id}:{self.lookup_key}"


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """Which facts must be loaded for a decision of this flow, whoever the customer is."""

    enrichments: tuple[Enrichment, ...]
    contact_window_ms: int
    contact_totals: bool
    history: HistoryNeeds = NOTHING
    # What is counted over all customers, and the evidence among it.
    counters: bool = False
    evidence: bool = False
    # The models of which it must be known what responses have taught them.
    learned: tuple[LearnerReference, ...] = ()
    # The experiment whose assignment decides how a customer is scored, by key.
    assignment_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class CompiledFlow:
    """The executable form of one published flow over one catalogue; immutable."""

    needs: Needs
    candidates: Candidates
    stages: tuple[Stage, ...]
    # The score stage, and what replaces scores.
    scoring: tuple[Stage, ...]
    ranker: Ranker
    # What masks the ranking.
    post_rank: tuple[PostRank, ...]
    placing: Placing
    filler: Filler
    chances: Chances
    output: Output
    reasons: tuple[Reason, ...]
    spans: tuple[StageSpan, ...]
    reads: tuple[str, ...]
    candidate_columns: Mapping[str, Column]
    # Whether a model that it asks is a service.
    calls_out: bool
    model_key: str | None
    model_type: str | None
    shadows: tuple[Shadow, ...]
    mandatory: Mandatory | None
    zone: ZoneInfo
    max_offers: int

    @cached_property
    def every_stage(self) -> tuple[Stage, ...]:
        """The stages in the order in which they run."""
        return (*self.stages, *self.scoring)

    @cached_property
    def unknown_rules(self) -> list[str]:
        """The types of the rules that this version does not evaluate: they do not pass."""
        types = (str(rule.body["ruleType"]) for rule in self.candidates.catalogue.qualification_rules)
        return [type_ for type_ in types if type_ not in EVALUATED_RULE_TYPES]

    @cached_property
    def mandatory_codes(self) -> list[int]:
        """The reasons of mandatory offers beyond what a day allows."""
        return [code for code, reason in enumerate(self.reasons, 1) if reason.type == "mandatory_cap"]

    @cached_property
    def nothing_counted(self) -> Counters:
        """The counters of a tenant in which nothing has happened."""
        catalogue = self.candidates.catalogue
        return Counters.none(len(catalogue.offers), len(catalogue.frequency_caps))

    @cached_property
    def offer_index(self) -> dict[str, int]:
        """Where each offer stands in the catalogue, by id."""
        return {document.id: index for index, document in enumerate(self.candidates.catalogue.offers)}

    @cached_property
    def creative_index(self) -> dict[str, int]:
        """Where each creative stands in the catalogue, by id."""
        return {document.id: index for index, document in enumerate(self.candidates.catalogue.creatives)}

    @cached_property
    def channel_index(self) -> dict[str, int]:
        """Where each channel stands in the catalogue, by id."""
        return {document.id: index for index, document in enumerate(self.candidates.catalogue.channels)}


CompileNode: TypeAlias = Callable[[AnyNode, Candidates, LegendBuilder], Stage]
N = TypeVar("N", bound=Node)
T = TypeVar("T")
# An extension point and the formula that is hooked in.
Hooked: TypeAlias = tuple[ExtensionPoint, FlowFormula]


def _node(compile_: Callable[[N, Candidates, LegendBuilder], Stage]) -> CompileNode:
    return cast("CompileNode", compile_)


# The nodes that narrow the candidates; the others are compiled in their own way below.
_NARROWING: dict[type[Node], CompileNode] = {
    Inventory: _node(compile_inventory),
    Filter: _node(compile_filter),
    MatchCreatives: _node(compile_match_creatives),
    ContactPolicyNode: _node(compile_contact_policy),
}


def compile_flow(
    flow: Flow,
    catalogue: Catalogue,
    models: Mapping[str, ScoringModel],
    *,
    zone: ZoneInfo,
    max_offers: int,
    max_mandatory: int = 5,
    coupling: str | None = None,
    unready: Mapping[str, str] | None = None,
) -> CompiledFlow:
    """Return the executable flow. Its stages are compiled in the order in which they run: so rise the legend's codes.

    `models` are those that may score, by key, and `unready` the types of those that would if they could; `max_offers`
    is the tenant's limit of an answer, `max_mandatory` that of the mandatory offers that a customer sees in a day.
    `coupling` beats that of the channels.
    """
    nodes = flow.ordered()
    candidates = build_candidates(catalogue, with_creatives=any(isinstance(node, MatchCreatives) for node in nodes))
    legend, hooks = LegendBuilder(), _hooks(nodes)
    score_node, scoring_models = _find(nodes, Score), {key: model.model for key, model in models.items()}
    narrowing = _narrowing_stages(nodes, candidates, legend, scoring_models)
    mandatory = compile_mandatory(candidates)
    narrowing += _constraints(candidates, zone, legend, max_mandatory if mandatory else None)
    narrowing += _of_hooks(hooks[Hook.PRE_SCORE], legend, compile_pre_score)
    scoring = _scoring_stages(nodes, hooks[Hook.SCORE_OVERRIDE], candidates, scoring_models, legend)
    guardrails = _guardrails(candidates, legend)
    ranker, post_rank, placing, filler = _ending(nodes, hooks[Hook.POST_RANK], candidates, legend, narrowing, coupling)
    output = compile_output(nodes, candidates)
    shadow_keys = score_node.config.shadow_model_keys if score_node else ()
    shadows = compile_shadows(shadow_keys, candidates, models, unready or {})
    model_key, model_type = _scored_by(score_node, models)
    stages = [*narrowing, *scoring]
    of_formulas = [*output.reads, *(name for one in post_rank for name in one.formula.reads)]
    return CompiledFlow(
        needs=_needs(nodes, stages, [shadow.scorer for shadow in shadows if shadow.scorer is not None]),
        candidates=candidates,
        stages=tuple(narrowing),
        scoring=(*scoring, *([MANDATORY_SCORE] if mandatory else []), *guardrails),
        ranker=ranker,
        post_rank=post_rank,
        placing=placing,
        filler=filler,
        chances=compile_chances(nodes, candidates),
        output=output,
        reasons=tuple(legend.reasons),
        spans=tuple(legend.spans),
        reads=_customer_names([*chain.from_iterable(stage.reads for stage in stages), *of_formulas]),
        candidate_columns=candidates.columns(
            chain(*(stage.candidate_reads for stage in stages), *_read_by(shadows), of_formulas)
        ),
        calls_out=any(stage.asks for stage in stages) or any(asks_of(shadow.scorer) for shadow in shadows),
        model_key=model_key,
        model_type=model_type,
        shadows=shadows,
        mandatory=mandatory,
        zone=zone,
        max_offers=max_offers,
    )


def _constraints(
    candidates: Candidates, zone: ZoneInfo, legend: LegendBuilder, max_mandatory: int | None
) -> list[Stage]:
    """Return what holds whatever nodes a flow has; a stage of which there is nothing to say is left out."""
    stages = list[Stage]()
    if max_mandatory is not None:
        with legend.stage("mandatory", "mandatory"):
            stages.append(compile_daily_cap(max_mandatory, legend))
    if is_constrained(candidates.catalogue):
        with legend.stage("constraints", "constraints"):
            stages.append(compile_constraints(candidates, zone, legend))
    return stages


def _guardrails(candidates: Candidates, legend: LegendBuilder) -> list[Stage]:
    if not active_guardrails(candidates):
        return []
    with legend.stage("guardrails", "guardrails"):
        return [compile_guardrails(candidates, legend)]


def _of_hooks(
    hooks: Sequence[Hooked], legend: LegendBuilder, compile_: Callable[[ExtensionPoint, FlowFormula, LegendBuilder], T]
) -> list[T]:
    """Return what masks candidates at these extension points, each a stage of its own in the legend."""
    compiled = list[T]()
    for node, formula in hooks:
        with legend.stage(node.config.hook.value, node.id):
            compiled.append(compile_(node, formula, legend))
    return compiled


def _scored_by(node: Score | None, models: Mapping[str, ScoringModel]) -> tuple[str | None, str | None]:
    """Return the key of the model that scores, and its type while it can."""
    if node is None or node.config.method == "priority_weighted":
        return None, None
    model = models.get(node.config.model_key or "")
    return node.config.model_key, model.model_type if model else None


def _ending(
    nodes: Sequence[AnyNode],
    hooks: Sequence[Hooked],
    candidates: Candidates,
    legend: LegendBuilder,
    narrowing: Sequence[Stage],
    coupling: str | None,
) -> tuple[Ranker, tuple[PostRank, ...], Placing, Filler]:
    """Compile what follows the score: ranking, what masks it, and filling the answer."""
    rank_node, response_node = _find(nodes, Rank), _find(nodes, Response)
    with legend.stage("rank", rank_node.id if rank_node else "rank"):
        ranker = compile_rank(rank_node, candidates, legend)
    post_rank = _of_hooks(hooks, legend, compile_post_rank)
    with legend.stage("response", response_node.id if response_node else "response"):
        explore = compile_explore(rank_node.config, candidates) if rank_node else None
        shared_codes = [code for stage in narrowing for code in stage.shared_codes]
        filler = compile_fill(legend, shared_codes, explore)
        coupled = legend.add("channel_coupling", "a placement of its atomic channel stayed empty")
        placing = compile_placing(_find(nodes, Group), _find(nodes, MatchCreatives), candidates, coupling, coupled)
    return ranker, tuple(post_rank), placing, filler


def _scoring_stages(
    nodes: Sequence[AnyNode],
    overrides: Sequence[Hooked],
    candidates: Candidates,
    models: Mapping[str, Model],
    legend: LegendBuilder,
) -> list[Stage]:
    node, optimize = _find(nodes, Score), _find(nodes, Optimize)
    with legend.stage("score", node.id if node else "score"):
        score = compile_score(node, candidates, models)
    stages = [score, *(compile_score_override(*override) for override in overrides)]
    if optimize is not None:
        with legend.stage("optimize", optimize.id):
            stages.append(compile_optimize(optimize, candidates, legend))
    return stages


def _narrowing_stages(
    nodes: Sequence[AnyNode], candidates: Candidates, legend: LegendBuilder, models: Mapping[str, Model]
) -> list[Stage]:
    narrowing = {**_NARROWING, Qualify: _node(partial(compile_qualify, models=models))}
    stages = list[Stage]()
    for node in nodes:
        compile_node = narrowing.get(type(node))
        if isinstance(node, Conditional):
            branches = [
                _narrowing_stages(in_run_order(branch), candidates, legend, models) for _, branch in branches_of(node)
            ]
            stages.append(compile_conditional(node, candidates, *branches))
        elif compile_node is not None:
            with legend.stage(node.type, node.id):
                stages.append(compile_node(node, candidates, legend))
    return stages


def _hooks(nodes: Sequence[AnyNode]) -> dict[Hook, list[Hooked]]:
    """Return the extension points that have a formula, by what they do."""
    hooks: dict[Hook, list[Hooked]] = {hook: [] for hook in Hook}
    for node in nodes:
        if isinstance(node, ExtensionPoint) and node.config.formula is not None:
            hooks[node.config.hook].append((node, FlowFormula.of(node.config.formula)))
    return hooks


def _find(nodes: Sequence[AnyNode], type_: type[N]) -> N | None:
    return next((node for node in nodes if isinstance(node, type_)), None)


def _everywhere(nodes: Sequence[AnyNode]) -> Iterator[AnyNode]:
    for node in nodes:
        yield node
        if isinstance(node, Conditional):
            for _, branch in branches_of(node):
                yield from _everywhere(branch)


def _needs(nodes: Sequence[AnyNode], stages: Sequence[Stage], shadows: Sequence[Scorer]) -> Needs:
    configs = [node.config for node in _everywhere(nodes) if isinstance(node, Enrich)]
    return Needs(
        enrichments=tuple(
            Enrichment(
                schema_id=config.schema_id,
                lookup_key=config.lookup_key,
                fields=tuple(config.fields),
                cache_ttl_seconds=config.cache_ttl_seconds,
            )
            for config in configs
            if config.schema_id is not None
        ),
        contact_window_ms=max((stage.contact_window_ms for stage in stages), default=0),
        contact_totals=any(stage.needs_contact_totals for stage in stages),
        history=HistoryNeeds.union(stage.history for stage in stages),
        counters=any(stage.needs_counters for stage in stages),
        evidence=any(one.needs_evidence for one in (*stages, *shadows)),
        learned=tuple(dict.fromkeys(reference for one in (*stages, *shadows) for reference in one.learned)),
    )


def _read_by(shadows: Sequence[Shadow]) -> Iterator[Sequence[str]]:
    return (shadow.scorer.candidate_reads for shadow in shadows if shadow.scorer is not None)


def _customer_names(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if axis_of(name) is Axis.CUSTOMER))
