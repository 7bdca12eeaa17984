"""Applying the lifecycle: a flow's score node is filled with the champion, its challengers and its shadows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from kaireon_application.catalog.entities import Entity, EntityReader
from kaireon_application.catalog.fields import Label
from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.read_entity import require
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.decisioning.publish_flow import FlowVersions, publish_draft
from kaireon_application.errors import Conflict, InvalidInput, NoChampion, NoScoreNode
from kaireon_application.learning.algorithm_model import KIND
from kaireon_application.learning.resolve_lifecycle import CHAMPION_WEIGHT, ResolvedLifecycle, resolved
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.problems import InvalidValue


class LifecycleRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which family fills the node: without one that of the model that the node names now, else the tenant's only one.

    With `publish` the draft goes live at once.
    """

    family: Label | None = None
    champion_weight: Annotated[int, Meta(ge=1, le=99)] = CHAMPION_WEIGHT
    publish: bool = False
    notes: Annotated[str, Meta(max_length=10_000)] | None = None
    row_version: Annotated[int, Meta(ge=1)] | None = None


class AppliedNode(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was set in the score node."""

    node_id: str
    method: str
    model_key: str
    champion_challenger: dict[str, Any] | None
    shadow_model_keys: list[str]


class AppliedLifecycle(msgspec.Struct, frozen=True, kw_only=True):
    """The flow afterwards, what was set in it, and the version that was published, if any."""

    flow: Entity
    applied: AppliedNode
    family: str
    warnings: list[str]
    published_version: int | None


async def apply_lifecycle(
    flows: FlowVersions, caller: Caller, reference: str, request: LifecycleRequest
) -> AppliedLifecycle:
    """Fill the score node of a flow's draft.

    Raises `NotFound`, `Conflict` for a stale row version, `NoScoreNode`, `NoChampion`, and `InvalidInput` when the
    draft cannot hold so many models, or cannot be published.
    """
    async with flows.writing(caller.tenant_id, caller.actor) as writer:
        flow = await require(writer, DECISION_FLOW.name, reference)
        if request.row_version is not None and request.row_version != flow.row_version:
            raise Conflict("this flow has changed meanwhile; read it again and apply to what you have seen")
        draft: dict[str, Any] = flow.body["draftConfig"]
        place = _score_node(draft)
        node: dict[str, Any] = draft["nodes"][place]
        found = await _lifecycle(writer, request, node.get("config") or {})
        config, warnings = await _filled(writer, node.get("config") or {}, found, request.champion_weight)
        nodes = [*draft["nodes"][:place], {**node, "config": config}, *draft["nodes"][place + 1 :]]
        body = {**flow.body, "draftConfig": _checked({**draft, "nodes": nodes})}
        flow, version = await writer.update(msgspec.structs.replace(flow, body=body)), None
        if request.publish:
            flow, published = await publish_draft(writer, flow, request.notes)
            version = published.version
    return AppliedLifecycle(
        flow=flow,
        applied=AppliedNode(
            node_id=node["id"],
            method=config["method"],
            model_key=config["modelKey"],
            champion_challenger=config["championChallenger"],
            shadow_model_keys=config["shadowModelKeys"],
        ),
        family=found.family or "",
        warnings=[*found.warnings, *warnings],
        published_version=version,
    )


def _score_node(draft: Mapping[str, Any]) -> int:
    """Return the place of the draft's score node. Raises `NoScoreNode`."""
    nodes = cast("list[dict[str, Any]]", draft.get("nodes", []))
    place = next((place for place, node in enumerate(nodes) if node["type"] == "score"), None)
    if place is None:
        raise NoScoreNode
    return place


async def _lifecycle(reader: EntityReader, request: LifecycleRequest, config: Mapping[str, Any]) -> ResolvedLifecycle:
    """Return what is deployed in the family that fills the node. Raises `NoChampion`."""
    family = request.family or await _present_family(reader, config)
    found = await resolved(reader, family, request.champion_weight)
    if found.champion_model_key is None:
        raise NoChampion(found.warnings[0] if found.warnings else None)
    if family is None:
        # The challengers and shadows of other families have nothing to do with this champion.
        alone = await resolved(reader, found.family, request.champion_weight)
        return msgspec.structs.replace(alone, warnings=found.warnings)
    return found


async def _present_family(reader: EntityReader, config: Mapping[str, Any]) -> str | None:
    """Return the family of the model that the node names now, None where that one has no champion."""
    key = config.get("modelKey")
    model = (await reader.find(KIND, [key])).get(key) if key else None
    if model is None:
        return None
    family = str(model.body["family"])
    return family if (await resolved(reader, family, CHAMPION_WEIGHT)).champion_model_key else None


async def _filled(
    reader: EntityReader, config: Mapping[str, Any], found: ResolvedLifecycle, champion_weight: int
) -> tuple[dict[str, Any], list[str]]:
    """Return the node's configuration with these models, and what is to be known of it."""
    contest: dict[str, Any] | None = None
    warnings = list[str]()
    if found.challengers:
        arms = [{"modelKey": one.model_key, "weight": one.weight} for one in found.challengers]
        champion = {"modelKey": found.champion_model_key, "weight": champion_weight}
        contest = {"enabled": True, "champion": champion, "challengers": arms}
    before = cast("dict[str, Any]", config.get("championChallenger") or {})
    experiment = before.get("experimentId")
    if experiment is not None:
        if contest is not None and await _has_split(reader, str(experiment), found, champion_weight):
            contest["experimentId"] = experiment
        else:
            warnings.append(f"the experiment '{experiment}' has another split: the node does not name it any more")
    method = config.get("method", "priority_weighted")
    filled = {
        **config,
        "method": "propensity" if method == "priority_weighted" else method,
        "modelKey": found.champion_model_key,
        "championChallenger": contest,
        "shadowModelKeys": list(found.shadow_model_keys),
    }
    return filled, warnings


async def _has_split(reader: EntityReader, experiment: str, found: ResolvedLifecycle, champion_weight: int) -> bool:
    """Return whether a named experiment splits the traffic just so: else the flow could not be published."""
    entity = (await reader.find("experiment", [experiment])).get(experiment)
    if entity is None:
        return False
    split = {one["modelId"]: one["trafficPct"] for one in entity.body["challengers"]}
    arms = {str(one.model_id): one.weight for one in found.challengers}
    return (entity.body["trafficSplit"]["championPct"], split) == (champion_weight, arms)


def _checked(draft: dict[str, Any]) -> dict[str, Any]:
    try:
        parse_flow(draft, FlowKind.DRAFT, "$.draftConfig")
    except InvalidValue as error:
        raise InvalidInput("the draft cannot hold these models", error.problems) from None
    return draft
