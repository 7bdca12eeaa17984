"""Reading a flow, with every problem of a bad one and its JSON path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from kaireon_core.column import compile_test
from kaireon_core.decisioning.flow import (
    BRANCH_NODES,
    FILTER_OPERATORS,
    ONCE_NODES,
    AnyNode,
    CallFlow,
    Conditional,
    ContactPolicyNode,
    Enrich,
    ExtensionPoint,
    Filter,
    FilterConfig,
    Flow,
    FormulaProperty,
    Group,
    Inventory,
    Node,
    Optimize,
    PrieWeights,
    Qualify,
    Rank,
    RankConfig,
    Score,
    ScoreConfig,
    SetProperties,
    SetPropertiesConfig,
    branches_of,
)
from kaireon_core.decisioning.flow_parts import ExtensionPointConfig, OptimizeConfig
from kaireon_core.decisioning.objectives import Objective
from kaireon_core.formula.syntax import FormulaError, parse
from kaireon_core.problems import InvalidValue, Problem, convert

_MAX_BRANCH_DEPTH = 8
_WEIGHT_TOLERANCE = 1e-6
_EVERYBODY = 100


class FlowKind(StrEnum):
    """How strictly a flow is read: a draft may be unfinished, a published flow may not."""

    DRAFT = "draft"
    PUBLISHED = "published"


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
    for here, node in flow.walk(path):
        if node.id in seen:
            problems.append(Problem(path=f"{here}.id", message=f"another node has the id '{node.id}'"))
        seen.add(node.id)
        if node.phase is not None and node.phase not in node.phases:
            allowed = " or ".join(map(str, node.phases))
            problems.append(Problem(path=f"{here}.phase", message=f"{node.type} belongs to phase {allowed}"))
        problems += _config_problems(node, f"{here}.config")
    inventories = [index for index, node in enumerate(flow.nodes) if isinstance(node, Inventory)]
    problems += [
        Problem(path=f"{path}.nodes[{index}]", message="a flow has exactly one inventory node")
        for index in inventories[1:]
    ]
    if inventories and not isinstance(flow.ordered()[0], Inventory):
        problems.append(Problem(path=f"{path}.nodes[{inventories[0]}]", message="the inventory node must be first"))
    return problems


def _config_problems(node: AnyNode, path: str) -> list[Problem]:
    """Return what is wrong inside a node beyond its types."""
    match node:
        case Filter(config=config):
            return _condition_problems(config, path)
        case Conditional(config=config):
            return [*_condition_problems(config.condition, f"{path}.condition"), *_branch_problems(node, path)]
        case ExtensionPoint(config=ExtensionPointConfig(formula=str(), flow_key=str())):
            return [Problem(path=f"{path}.flowKey", message="send either formula or flowKey, not both")]
        case ExtensionPoint(config=ExtensionPointConfig(formula=str(formula))):
            return formula_problems(formula, f"{path}.formula")
        case Score(config=config):
            return [
                *_weight_problems(config.formula, f"{path}.formula"),
                *_contest_problems(config, path),
                *_shadow_problems(config.shadow_model_keys, f"{path}.shadowModelKeys"),
            ]
        case Rank() | Group() | Optimize():
            return [*_ranking_problems(node, path)]
        case SetProperties(config=SetPropertiesConfig(properties=properties)):
            return [
                problem
                for name, value in properties.items()
                if isinstance(value, FormulaProperty)
                for problem in formula_problems(value.formula, f"{path}.properties.{name}.formula")
            ]
        case _:
            return []


def _weight_problems(weights: PrieWeights, path: str) -> list[Problem]:
    total = weights.propensity_weight + weights.relevance_weight + weights.impact_weight + weights.emphasis_weight
    if abs(total - 1) <= _WEIGHT_TOLERANCE:
        return []
    return [Problem(path=path, message=f"the weights must sum to 1, not to {total:g}")]


def weights_problems(weights: Mapping[str, float] | None, path: str) -> Iterator[Problem]:
    """Yield what is wrong with the weights of objectives, beyond their ranges."""
    if weights is None:
        return
    known = ", ".join(Objective)
    for name in weights:
        if name not in set(Objective):
            yield Problem(path=f"{path}.{name}", message=f"is no objective; the objectives are: {known}")
    if not any(weights.values()):
        yield Problem(path=path, message="at least one weight must be above 0")


def _ranking_problems(node: Rank | Group | Optimize, path: str) -> Iterator[Problem]:
    match node:
        case Rank(config=RankConfig(epsilon=float(), temperature=float())):
            yield Problem(path=f"{path}.temperature", message="send either epsilon or temperature, not both")
        case Group(config=config):
            names = [one.placement_id for one in config.placements]
            for place, name in enumerate(names):
                if name in names[:place]:
                    here = f"{path}.placements[{place}].placementId"
                    yield Problem(path=here, message="this placement stands here twice")
        case Optimize(config=config):
            yield from weights_problems(config.weights, f"{path}.weights")
            yield from _one_of_weights(config, path)
        case _:
            pass


def _one_of_weights(config: OptimizeConfig, path: str) -> Iterator[Problem]:
    if config.weights is not None and config.profile_key is not None:
        yield Problem(path=f"{path}.weights", message="send either weights or profileKey, not both")


def _contest_problems(config: ScoreConfig, path: str) -> list[Problem]:
    contest = config.champion_challenger
    if contest is None:
        return []
    arms, path = [contest.champion, *contest.challengers], f"{path}.championChallenger"
    problems = list[Problem]()
    if sum(arm.weight for arm in arms) != _EVERYBODY:
        message = f"the weights must add up to 100, not to {sum(arm.weight for arm in arms)}"
        problems.append(Problem(path=f"{path}.champion.weight", message=message))
    keys = [arm.model_key for arm in arms]
    problems += [
        Problem(path=f"{path}.challengers[{place}].modelKey", message=f"the model '{key}' takes part already")
        for place, key in enumerate(keys[1:])
        if key in keys[: place + 1]
    ]
    return problems


def _shadow_problems(keys: Sequence[str], path: str) -> Iterator[Problem]:
    for place, key in enumerate(keys):
        if key in keys[:place]:
            yield Problem(path=f"{path}[{place}]", message=f"the model '{key}' is a shadow already")


def formula_problems(formula: str, path: str) -> list[Problem]:
    """Return what keeps a text from being a formula."""
    try:
        parse(formula)
    except FormulaError as error:
        return [Problem(path=path, message=str(error))]
    return []


def _branch_problems(node: Conditional, path: str) -> list[Problem]:
    """A branch holds nodes of the same phase that narrow; how deep conditions nest is bounded."""
    allowed = ", ".join(str(type_.__struct_config__.tag) for type_ in BRANCH_NODES)
    problems = [
        Problem(path=f"{path}.{name}[{index}].type", message=f"a branch may hold: {allowed}")
        for name, branch in branches_of(node)
        for index, inner in enumerate(branch)
        if not isinstance(inner, BRANCH_NODES)
    ]
    if path.count(".config.") >= _MAX_BRANCH_DEPTH:
        problems.append(Problem(path=path, message=f"conditions are nested at most {_MAX_BRANCH_DEPTH} deep"))
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
    for type_ in ONCE_NODES:
        found = [index for index, node in enumerate(flow.nodes) if isinstance(node, type_)]
        name = type_.__struct_config__.tag
        problems += [
            Problem(path=f"{path}.nodes[{index}]", message=f"a flow has at most one {name} node") for index in found[1:]
        ]
    problems += _drawn_problems(flow, path)
    for here, node in flow.walk(path):
        problems += _idle_problems(node, f"{here}.config")
    return problems


def _drawn_problems(flow: Flow, path: str) -> Iterator[Problem]:
    """Yield the rank node that draws what the group node would choose for the greatest total."""
    is_optimal = any(isinstance(node, Group) and node.config.method == "optimal" for node in flow.nodes)
    for index, node in enumerate(flow.nodes):
        if is_optimal and isinstance(node, Rank) and node.config.method == "explore":
            message = "what is drawn cannot be allocated for the greatest total: use a greedy group"
            yield Problem(path=f"{path}.nodes[{index}].config.method", message=message)


def _idle_problems(node: AnyNode, path: str) -> list[Problem]:
    """Return the problem of a node that does nothing because nothing is configured."""
    field = _missing_field(node)
    message = "is required: without it this node does nothing"
    return [] if field is None else [Problem(path=f"{path}.{field}", message=message)]


def _missing_field(node: AnyNode) -> str | None:
    config: Any = node.config
    missing = (field for type_, field, is_missing in _NEEDED if isinstance(node, type_) and is_missing(config))
    return next(missing, None)


# What a node cannot do without: its type, the field, and when it is missing.
_NEEDED: tuple[tuple[type[Node], str, Callable[[Any], bool]], ...] = (
    (Filter, "conditions", lambda config: not config.conditions),
    (Enrich, "schemaId", lambda config: config.schema_id is None and not config.optional),
    (Qualify, "ruleIds", lambda config: config.mode == "selected" and not config.rule_ids),
    (ContactPolicyNode, "policyIds", lambda config: config.mode == "selected" and not config.policy_ids),
    (Conditional, "condition.conditions", lambda config: not config.condition.conditions),
    (Conditional, "then", lambda config: not config.then and not config.else_),
    (CallFlow, "flowKey", lambda config: config.flow_key is None),
    (
        Rank,
        "epsilon",
        lambda config: config.method == "explore" and config.epsilon is None and config.temperature is None,
    ),
    (Group, "placements", lambda config: not config.placements),
    (Optimize, "profileKey", lambda config: config.profile_key is None and config.weights is None),
    (SetProperties, "properties", lambda config: not config.properties),
)
