"""The names in a flow: what each node refers to, and why a name may stand for nothing that could be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, cast, get_args

from kaireon_application.catalog.channel import ChannelType
from kaireon_application.catalog.entities import Entity, EntityReader
from kaireon_core.decisioning.flow import (
    ContactPolicyNode,
    Enrich,
    Flow,
    Group,
    Node,
    Optimize,
    Qualify,
    Score,
    ScoreConfig,
)
from kaireon_core.decisioning.objectives import prie_weights
from kaireon_core.problems import Problem

_NOT_SCORING = ("draft", "archived")
_SHADOWS = "shadowModelKeys"
_CHANNEL_TYPES: tuple[str, ...] = get_args(ChannelType)

# The kind of what is named, the name, and where it stands inside the node's configuration.
Named: TypeAlias = tuple[str, str, str]


async def reference_problems(reader: EntityReader, flow: Flow, path: str = "$.draftConfig") -> list[Problem]:
    """Return every name in the flow that stands for nothing that could be used."""
    named = [(here, node, one) for here, node in flow.walk(path) for one in _references(node)]
    wanted = dict[str, set[str]]()
    for _, _, (kind, name, _) in named:
        wanted.setdefault(kind, set()).add(name)
    found = {kind: await reader.find(kind, names) for kind, names in wanted.items()}
    problems = list[Problem]()
    for here, node, (kind, name, field) in named:
        thing = found[kind].get(name)
        message = _problem(kind, name, thing, node) or _split_problem(kind, name, found, node)
        # An archived shadow is skipped: the flow is the same without it.
        if message and not (field.startswith(_SHADOWS) and _is_retired(thing)):
            problems.append(Problem(path=f"{here}.config.{field}", message=message))
    return problems


def _references(node: Node) -> Iterator[Named]:
    """Yield everything that a node names."""
    read = _READERS.get(type(node))
    if read is not None:
        config: Any = cast("Any", node).config
        yield from read(config)


def _of_enrich(config: Any) -> Iterator[Named]:
    if config.schema_id:
        yield "schema", config.schema_id, "schemaId"


def _of_qualify(config: Any) -> Iterator[Named]:
    for place, name in enumerate(config.rule_ids):
        yield "qualification_rule", name, f"ruleIds[{place}]"


def _of_contact_policy(config: Any) -> Iterator[Named]:
    for place, name in enumerate(config.policy_ids):
        yield "contact_policy", name, f"policyIds[{place}]"


def _of_score(config: ScoreConfig) -> Iterator[Named]:
    if config.model_key:
        yield "algorithm_model", config.model_key, "modelKey"
    contest = config.champion_challenger
    if contest is not None:
        if contest.experiment_id:
            yield "experiment", contest.experiment_id, "championChallenger.experimentId"
        yield "algorithm_model", contest.champion.model_key, "championChallenger.champion.modelKey"
        for place, arm in enumerate(contest.challengers):
            yield "algorithm_model", arm.model_key, f"championChallenger.challengers[{place}].modelKey"
    for place, key in enumerate(config.shadow_model_keys):
        yield "algorithm_model", key, f"{_SHADOWS}[{place}]"
    for place, channel in enumerate(config.overrides):
        yield "channel", channel.channel_id, f"overrides[{place}].channelId"
        yield "algorithm_model", channel.model_key, f"overrides[{place}].modelKey"
    if config.strategy_profile_id:
        yield "ranking_profile", config.strategy_profile_id, "strategyProfileId"
    for place, override in enumerate(config.strategy_overrides):
        is_type = override.scope == "channel" and override.value in _CHANNEL_TYPES
        if override.scope != "productType" and not is_type:
            yield override.scope, override.value, f"strategyOverrides[{place}].value"
        yield "ranking_profile", override.profile_id, f"strategyOverrides[{place}].profileId"


def _of_optimize(config: Any) -> Iterator[Named]:
    if config.profile_key:
        yield "ranking_profile", config.profile_key, "profileKey"


def _of_group(config: Any) -> Iterator[Named]:
    for place, one in enumerate(config.placements):
        yield "placement", one.placement_id, f"placements[{place}].placementId"


_READERS: dict[type[Node], Callable[[Any], Iterator[Named]]] = {
    Enrich: _of_enrich,
    Qualify: _of_qualify,
    ContactPolicyNode: _of_contact_policy,
    Score: _of_score,
    Optimize: _of_optimize,
    Group: _of_group,
}


def _problem(kind: str, name: str, found: Entity | None, node: Node) -> str | None:
    if found is None:
        return f"there is no {kind.replace('_', ' ')} '{name}'"
    if kind == "algorithm_model":
        return _model_problem(name, found)
    if kind == "ranking_profile" and isinstance(node, Score) and prie_weights(found.body["weights"]) is None:
        return f"the profile '{name}' weighs no objective of the priority formula: it cannot serve a score node"
    return None


def _split_problem(kind: str, name: str, found: Mapping[str, Mapping[str, Entity]], node: Node) -> str | None:
    """Return how the split of a named experiment differs from the node's."""
    if kind != "experiment" or not isinstance(node, Score) or node.config.champion_challenger is None:
        return None
    body, models = found[kind][name].body, found.get("algorithm_model", {})
    contest = node.config.champion_challenger
    arms = {str(models[arm.model_key].id): arm.weight for arm in contest.challengers if arm.model_key in models}
    split = {str(one["modelId"]): one["trafficPct"] for one in body["challengers"]}
    if (contest.champion.weight, arms) == (body["trafficSplit"]["championPct"], split):
        return None
    return f"the split of the experiment '{name}' is not that of this node: champion and challengers must be equal"


def _is_retired(model: Entity | None) -> bool:
    return model is not None and "archived" in (model.status, model.body.get("registryStatus"))


def _model_problem(name: str, found: Entity) -> str | None:
    if name != found.key:
        return f"name the model by its key, '{found.key}'"
    registry_status = found.body.get("registryStatus")
    if registry_status in _NOT_SCORING:
        return f"the model '{name}' is {registry_status}: promote it to shadow, challenger or champion first"
    return None if found.status == "active" else f"the model '{name}' is {found.status}: set its status to active"
