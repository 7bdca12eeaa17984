"""A decision flow as an operator writes it, and every problem of a bad one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, Union

import msgspec
from msgspec import Meta

from kaireon_core.column import Operator, compile_test
from kaireon_core.problems import InvalidValue, Problem, convert

Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
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


class ExtensionPointConfig(Config, frozen=True, kw_only=True):
    """A place where a formula or another flow may be hooked in; nothing is configured by default."""

    hook: Literal["pre_score", "score_override", "post_rank"]


class ExtensionPoint(Node, frozen=True, kw_only=True, tag="extension_point"):
    """Marks where a flow may be extended; without configuration it does nothing."""

    phases: ClassVar[tuple[int, ...]] = (1, 2, 3)
    config: ExtensionPointConfig


class ScoreConfig(Config, frozen=True, kw_only=True):
    """`priority_weighted` needs no model; `propensity` names the model whose score counts."""

    method: Literal["priority_weighted", "propensity"] = "priority_weighted"
    model_key: str | None = None
    propensity_floor: Annotated[float, Meta(ge=0, le=1)] | None = None


class Score(Node, frozen=True, kw_only=True, tag="score"):
    """Gives every candidate its score."""

    phases: ClassVar[tuple[int, ...]] = (2,)
    config: ScoreConfig = ScoreConfig()


class RankConfig(Config, frozen=True, kw_only=True):
    """`diversity` takes at most `max_per_category` of each category first, then fills by score."""

    method: Literal["topN", "diversity"] = "topN"
    max_candidates: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    max_per_category: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class Rank(Node, frozen=True, kw_only=True, tag="rank"):
    """Orders the candidates."""

    phases: ClassVar[tuple[int, ...]] = (2,)
    config: RankConfig = RankConfig()


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
    ExtensionPoint,
    Score,
    Rank,
    Response,
]


class FlowKind(StrEnum):
    """How strictly a flow is read: a draft may be unfinished, a published flow may not."""

    DRAFT = "draft"
    PUBLISHED = "published"


class Flow(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A flow's configuration: `{"version": 2, "nodes": [...], "flowConfig": {}}`."""

    version: Literal[2] = 2
    nodes: list[AnyNode] = []
    flow_config: dict[str, Any] = {}

    def ordered(self) -> list[AnyNode]:
        """Return the nodes in the order in which they run."""
        return [node for _, node in sorted(enumerate(self.nodes), key=_run_order)]


def _run_order(numbered: tuple[int, AnyNode]) -> tuple[int, int, int]:
    index, node = numbered
    position = node.position if isinstance(node.position, int) else index
    return (node.phase or node.phases[0], position, index)


def parse_flow(config: object, kind: FlowKind = FlowKind.PUBLISHED, path: str = "$") -> Flow:
    """Return the flow that this JSON describes. Raises `InvalidValue` with every problem and its JSON path."""
    flow = convert(config, Flow, path)
    problems = [*_structure_problems(flow, path)]
    if kind is FlowKind.PUBLISHED:
        problems += _completeness_problems(flow, path)
    if problems:
        raise InvalidValue(tuple(problems))
    return flow


def _structure_problems(flow: Flow, path: str) -> list[Problem]:
    problems = list[Problem]()
    seen = set[str]()
    for index, node in enumerate(flow.nodes):
        here = f"{path}.nodes[{index}]"
        if node.id in seen:
            problems.append(Problem(path=f"{here}.id", message=f"another node has the id '{node.id}'"))
        seen.add(node.id)
        if node.phase is not None and node.phase not in node.phases:
            allowed = " or ".join(map(str, node.phases))
            problems.append(Problem(path=f"{here}.phase", message=f"{node.type} belongs to phase {allowed}"))
        if isinstance(node, Filter):
            problems += _condition_problems(node.config, f"{here}.config")
    inventories = [index for index, node in enumerate(flow.nodes) if isinstance(node, Inventory)]
    problems += [
        Problem(path=f"{path}.nodes[{index}]", message="a flow has exactly one inventory node")
        for index in inventories[1:]
    ]
    if inventories and not isinstance(flow.ordered()[0], Inventory):
        problems.append(Problem(path=f"{path}.nodes[{inventories[0]}]", message="the inventory node must be first"))
    return problems


def _condition_problems(config: FilterConfig, path: str) -> list[Problem]:
    problems = list[Problem]()
    for index, condition in enumerate(config.conditions):
        here = f"{path}.conditions[{index}]"
        if condition.operator not in FILTER_OPERATORS:
            known = ", ".join(FILTER_OPERATORS)
            problems.append(Problem(path=f"{here}.operator", message=f"must be one of: {known}"))
            continue
        try:
            compile_test(condition.operator, condition.value)
        except ValueError as error:
            problems.append(Problem(path=f"{here}.value", message=str(error)))
    return problems


def _completeness_problems(flow: Flow, path: str) -> list[Problem]:
    """Return what keeps a flow from being published: missing steps and nodes that would do nothing."""
    problems = list[Problem]()
    if not any(isinstance(node, Inventory) for node in flow.nodes):
        problems.append(Problem(path=f"{path}.nodes", message="a flow needs an inventory node as its first node"))
    for type_ in (Score, Rank, Response, MatchCreatives):
        found = [index for index, node in enumerate(flow.nodes) if isinstance(node, type_)]
        name = type_.__struct_config__.tag
        problems += [
            Problem(path=f"{path}.nodes[{index}]", message=f"a flow has at most one {name} node") for index in found[1:]
        ]
    for index, node in enumerate(flow.nodes):
        problems += _idle_problems(node, f"{path}.nodes[{index}].config")
    return problems


def _idle_problems(node: AnyNode, path: str) -> list[Problem]:
    """Return the problem of a node that does nothing because nothing is configured."""
    field = _missing_field(node)
    message = "is required: without it this node does nothing"
    return [] if field is None else [Problem(path=f"{path}.{field}", message=message)]


def _missing_field(node: AnyNode) -> str | None:
    match node:
        case Filter(config=FilterConfig(conditions=[])):
            return "conditions"
        case Enrich(config=EnrichConfig(schema_id=None, optional=False)):
            return "schemaId"
        case Qualify(config=QualifyConfig(mode="selected", rule_ids=[])):
            return "ruleIds"
        case ContactPolicyNode(config=ContactPolicyConfig(mode="selected", policy_ids=[])):
            return "policyIds"
        case Score(config=ScoreConfig(method="propensity", model_key=None)):
            return "modelKey"
        case _:
            return None
