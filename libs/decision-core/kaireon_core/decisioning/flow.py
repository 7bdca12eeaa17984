"""A decision flow as an operator writes it, and every problem of a bad one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, Union

import msgspec
from msgspec import Meta

from kaireon_core.column import Operator
from kaireon_core.decisioning.flow_parts import (
    ExtensionPointConfig,
    FormulaText,
    GroupConfig,
    Key,
    OptimizeConfig,
    Weight,
)

TermWeight: TypeAlias = Annotated[float, Meta(ge=0, le=2)]
FILTER_OPERATORS = tuple(operator for operator in Operator if operator not in (Operator.EXISTS, Operator.NOT_EXISTS))


class Config(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The configuration of a node."""


class Node(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag_field="type"):
    """One configured step of a flow; nodes run by phase, and within a phase by position, then in list order."""

    phases: ClassVar[tuple[int, ...]] = (1,)

    id: Key
    phase: Annotated[int, Meta(ge=1, le=3)] | None = None
    position: int | dict[str, Any] | None = None
    label: str | None = None

    @property
    def type(self) -> str:
        """The node's type, as in `type`."""
        return str(self.__struct_config__.tag)


class InventoryConfig(Config, frozen=True, kw_only=True):
    """Which offers to start from; a non-empty `offer_ids` beats the category scope, statuses always apply."""

    scope: Literal["all", "category", "subcategory", "offers"] = "all"
    category_ids: list[str] = []
    sub_category_ids: list[str] = []
    offer_ids: list[str] = []
    include_statuses: tuple[Literal["draft", "active", "paused", "archived"], ...] = ("active",)


class Inventory(Node, frozen=True, kw_only=True, tag="inventory"):
    """Starts the flow with the offers of a scope."""

    config: InventoryConfig = InventoryConfig()


class Condition(Config, frozen=True, kw_only=True):
    """`field operator value`, with the one comparison of `kaireon_core.column`."""

    field: Key
    operator: Operator
    value: Any = None


class FilterConfig(Config, frozen=True, kw_only=True):
    """All (AND) or any (OR) of the conditions; none of them means true."""

    conditions: list[Condition] = []
    combinator: Literal["AND", "OR"] = "AND"


class Filter(Node, frozen=True, kw_only=True, tag="filter"):
    """Keeps the candidates that satisfy its conditions."""

    config: FilterConfig = FilterConfig()


class MatchCreativesConfig(Config, frozen=True, kw_only=True):
    """`placement_match_mode`: exact = the request's placement only, any = also creatives without one, none = all."""

    require_creative: bool = True
    placement_match_mode: Literal["exact", "any", "none"] = "any"


class MatchCreatives(Node, frozen=True, kw_only=True, tag="match_creatives"):
    """Joins offers with their active creatives on active channels that fit the request's channel and placement."""

    config: MatchCreativesConfig = MatchCreativesConfig()


class EnrichConfig(Config, frozen=True, kw_only=True):
    """Which schema to read the customer's row from; no `fields` means all columns."""

    schema_id: str | None = None
    lookup_key: str = "customer_id"
    fields: list[str] = []
    cache_ttl_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 60
    prefix: Literal["customer"] = "customer"
    optional: bool = False
    exclude_join_ids: list[str] = []


class Enrich(Node, frozen=True, kw_only=True, tag="enrich"):
    """Adds the customer's row of a schema to the customer's attributes."""

    config: EnrichConfig = EnrichConfig()


class QualifyConfig(Config, frozen=True, kw_only=True):
    """All active rules, or the selected ones (by id or key)."""

    mode: Literal["all", "selected"] = "all"
    rule_ids: list[str] = []


class Qualify(Node, frozen=True, kw_only=True, tag="qualify"):
    """Applies qualification rules: hard ones drop, `fit` ones multiply the score."""

    config: QualifyConfig = QualifyConfig()


class ContactPolicyConfig(Config, frozen=True, kw_only=True):
    """All active policies, or the selected ones (by id or key)."""

    mode: Literal["all", "selected"] = "all"
    policy_ids: list[str] = []


class ContactPolicyNode(Node, frozen=True, kw_only=True, tag="contact_policy"):
    """Applies contact policies: caps and cooldowns."""

    config: ContactPolicyConfig = ContactPolicyConfig()


class ConditionalConfig(Config, frozen=True, kw_only=True):
    """Nodes for the candidates of which the condition holds, and for the others."""

    condition: FilterConfig = FilterConfig()
    then: list[AnyNode] = []
    else_: list[AnyNode] = msgspec.field(default=[], name="else")


class Conditional(Node, frozen=True, kw_only=True, tag="conditional"):
    """Runs one of two branches, candidate by candidate."""

    config: ConditionalConfig = ConditionalConfig()


class CallFlowConfig(Config, frozen=True, kw_only=True):
    """Which published flow to call."""

    flow_key: Key | None = None


class CallFlow(Node, frozen=True, kw_only=True, tag="call_flow"):
    """Stands for the nodes of its phase in another flow; see `kaireon_core.decisioning.call_flow`."""

    phases: ClassVar[tuple[int, ...]] = (1, 2, 3)
    config: CallFlowConfig = CallFlowConfig()


class ExtensionPoint(Node, frozen=True, kw_only=True, tag="extension_point"):
    """Lets a formula or a flow mask candidates or replace their score; without one it does nothing."""

    phases: ClassVar[tuple[int, ...]] = (1, 2, 3)
    config: ExtensionPointConfig


class PrieWeights(Config, frozen=True, kw_only=True):
    """The exponents of propensity, relevance, impact and emphasis, which sum to 1, and those of the optional terms."""

    propensity_weight: Weight = 0.4
    relevance_weight: Weight = 0.2
    impact_weight: Weight = 0.3
    emphasis_weight: Weight = 0.1
    uplift_weight: TermWeight = 0.0
    clv_weight: TermWeight = 0.0


class StrategyOverride(Config, frozen=True, kw_only=True):
    """The ranking profile of the candidates of a category, product type or channel."""

    scope: Literal["category", "productType", "channel"]
    value: Key
    profile_id: Key


class ChannelModel(Config, frozen=True, kw_only=True):
    """The model of the candidates on a channel."""

    channel_id: Key
    model_key: Key


class Arm(Config, frozen=True, kw_only=True):
    """A model that takes part, and its share of the customers in per cent."""

    model_key: Key
    weight: Annotated[int, Meta(ge=0, le=100)]


class ChampionChallenger(Config, frozen=True, kw_only=True):
    """Splits the customers between models; the weights add up to 100. `experiment_id` is an id or key."""

    enabled: bool = True
    experiment_id: Key | None = None
    champion: Arm
    challengers: Annotated[list[Arm], Meta(max_length=20)] = []


class MaturityRamp(Config, frozen=True, kw_only=True):
    """How sure a rate of positive answers must be for full exposure: the width of its Wilson interval."""

    confidence: Annotated[float, Meta(ge=0.5, lt=1)] = 0.95
    target_width: Annotated[float, Meta(gt=0, le=1)] = 0.2


class ScoreConfig(Config, frozen=True, kw_only=True):
    """`priority_weighted` needs no model; `propensity` and `formula` name the model whose score is the propensity.

    The weights of `formula` are those of a ranking profile where one is named; the first matching override wins.
    """

    method: Literal["priority_weighted", "propensity", "formula"] = "priority_weighted"
    model_key: str | None = None
    formula: PrieWeights = PrieWeights()
    propensity_floor: Annotated[float, Meta(ge=0, le=1)] | None = None
    strategy_profile_id: Key | None = None
    strategy_overrides: Annotated[list[StrategyOverride], Meta(max_length=100)] = []
    overrides: Annotated[list[ChannelModel], Meta(max_length=100)] = []
    champion_challenger: ChampionChallenger | None = None
    # Models that score the same candidates for the trace alone.
    shadow_model_keys: Annotated[list[Key], Meta(max_length=20)] = []
    maturity_ramp: MaturityRamp | None = None


class Score(Node, frozen=True, kw_only=True, tag="score"):
    """Gives every candidate its score."""

    phases: ClassVar[tuple[int, ...]] = (2,)
    config: ScoreConfig = ScoreConfig()


class Optimize(Node, frozen=True, kw_only=True, tag="optimize"):
    """Replaces the score by a composite of objectives, each relative to the customer's other candidates."""

    phases: ClassVar[tuple[int, ...]] = (2,)
    config: OptimizeConfig = OptimizeConfig()


class RankConfig(Config, frozen=True, kw_only=True):
    """`diversity` takes at most `max_per_category` of each category first; `round_robin` one of each in turn.

    `explore` draws, by either `epsilon` or `temperature`.
    """

    method: Literal["topN", "diversity", "round_robin", "explore"] = "topN"
    epsilon: Annotated[float, Meta(ge=0, le=1)] | None = None
    temperature: Annotated[float, Meta(ge=1e-6, le=1e6)] | None = None
    max_candidates: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    max_per_category: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class Rank(Node, frozen=True, kw_only=True, tag="rank"):
    """Orders the candidates."""

    phases: ClassVar[tuple[int, ...]] = (2,)
    config: RankConfig = RankConfig()


class Group(Node, frozen=True, kw_only=True, tag="group"):
    """Allocates the ranked candidates to placements."""

    phases: ClassVar[tuple[int, ...]] = (2,)
    config: GroupConfig = GroupConfig()


class ComputeConfig(Config, frozen=True, kw_only=True):
    """Which computed fields of the offer's category and sub-category to evaluate, by key; none named means all."""

    fields: list[Key] = []


class Compute(Node, frozen=True, kw_only=True, tag="compute"):
    """Evaluates the computed fields of the chosen offers."""

    phases: ClassVar[tuple[int, ...]] = (3,)
    config: ComputeConfig = ComputeConfig()


class FormulaProperty(Config, frozen=True, kw_only=True):
    """A property that is computed."""

    formula: FormulaText


PropertyValue: TypeAlias = Union[FormulaProperty, str, int, float, bool, list[Any], None]  # noqa: UP007 - read at run time


class SetPropertiesConfig(Config, frozen=True, kw_only=True):
    """Constants, and formulas written `{"formula": "..."}`, by name."""

    properties: dict[Key, PropertyValue] = {}


class SetProperties(Node, frozen=True, kw_only=True, tag="set_properties"):
    """Gives the chosen offers constant and computed properties."""

    phases: ClassVar[tuple[int, ...]] = (3,)
    config: SetPropertiesConfig = SetPropertiesConfig()


class ResponseConfig(Config, frozen=True, kw_only=True):
    """How the answer is written."""

    response_format: Literal["standard"] = "standard"


class Response(Node, frozen=True, kw_only=True, tag="response"):
    """Ends the flow."""

    phases: ClassVar[tuple[int, ...]] = (3,)
    config: ResponseConfig = ResponseConfig()


AnyNode: TypeAlias = Union[  # noqa: UP007 - msgspec reads the alias at run time
    Inventory,
    Filter,
    MatchCreatives,
    Enrich,
    Qualify,
    ContactPolicyNode,
    Conditional,
    CallFlow,
    ExtensionPoint,
    Score,
    Optimize,
    Rank,
    Group,
    Compute,
    SetProperties,
    Response,
]
# What may stand in a branch: what narrows the candidates it gets, and nothing that a flow has once.
BRANCH_NODES: tuple[type[Node], ...] = (Filter, Enrich, Qualify, ContactPolicyNode, Conditional, CallFlow)
# What a flow has at most once.
ONCE_NODES: tuple[type[Node], ...] = (Score, Optimize, Rank, Group, Response, MatchCreatives)


class Flow(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A flow's configuration: `{"version": 2, "nodes": [...], "flowConfig": {}}`."""

    version: Literal[2] = 2
    nodes: list[AnyNode] = []
    flow_config: dict[str, Any] = {}

    def ordered(self) -> list[AnyNode]:
        """Return the nodes in the order in which they run."""
        return in_run_order(self.nodes)

    def walk(self, path: str = "$") -> Iterator[tuple[str, AnyNode]]:
        """Yield every node with its JSON path, those in branches too."""
        return _walk(self.nodes, f"{path}.nodes")


def _walk(nodes: Sequence[AnyNode], path: str) -> Iterator[tuple[str, AnyNode]]:
    for index, node in enumerate(nodes):
        yield f"{path}[{index}]", node
        if isinstance(node, Conditional):
            for name, branch in branches_of(node):
                yield from _walk(branch, f"{path}[{index}].config.{name}")


def branches_of(node: Conditional) -> tuple[tuple[str, list[AnyNode]], tuple[str, list[AnyNode]]]:
    """Return the two branches with their wire names."""
    return ("then", node.config.then), ("else", node.config.else_)


def in_run_order(nodes: Sequence[AnyNode]) -> list[AnyNode]:
    """Return nodes in the order in which they run."""
    return [node for _, node in sorted(enumerate(nodes), key=_run_order)]


def _run_order(numbered: tuple[int, AnyNode]) -> tuple[int, int, int]:
    index, node = numbered
    position = node.position if isinstance(node.position, int) else index
    return (node.phase or node.phases[0], position, index)
