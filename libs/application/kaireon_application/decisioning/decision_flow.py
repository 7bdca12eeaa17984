"""Decision flows as they are configured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import replace

from kaireon_application.catalog.entities import Entity, EntityWriter, ListOrder, ListQuery
from kaireon_application.catalog.fields import Key, Name, OpenObject, Status, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.problems import InvalidValue, Problem

_KIND = "decision_flow"


def empty_flow() -> dict[str, Any]:
    """Return the configuration of a flow without nodes."""
    return {"version": 2, "nodes": [], "flowConfig": {}}


class NewDecisionFlow(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A flow as it is created; what decides is its newest published version, not the draft."""

    key: Key | None = None
    name: Name
    description: Text | None = None
    status: Status = "draft"
    auto_assembly: bool = True
    coupling_override: Literal["partial", "atomic"] | None = None
    is_default: bool = False
    draft_config: OpenObject = field(default_factory=empty_flow)


def _flow_problems(change: Change) -> Iterable[Problem]:
    """Return what is wrong with the draft's structure; references are judged when it is published."""
    try:
        parse_flow(change.document["draftConfig"], FlowKind.DRAFT, f"{change.path}.draftConfig")
    except InvalidValue as error:
        return error.problems
    return ()


def _with_publications(change: Change) -> Document:
    """Keep what publishing writes: a caller cannot."""
    previous = change.previous.body if change.previous else {}
    return {
        **change.document,
        "publishedVersions": previous.get("publishedVersions", []),
        "protected": previous.get("protected", False),
    }


async def _settle_default(writer: EntityWriter, change: Change) -> Document:
    is_default = bool(change.document["isDefault"]) or (change.previous is None and await is_first_flow(writer))
    if is_default:
        await _take_default_from_others(writer, change.previous.id if change.previous else None)
    return {**change.document, "isDefault": is_default}


async def is_first_flow(writer: EntityWriter) -> bool:
    """Return whether the tenant has no flow yet: its first one becomes the default."""
    return (await writer.page(_KIND, ListQuery(limit=1))).total == 0


async def _take_default_from_others(writer: EntityWriter, mine: UUID | None) -> None:
    page = await writer.page(_KIND, ListQuery(limit=100, matching={"isDefault": True}))
    for other in page.entities:
        if other.id != mine:
            await writer.update(replace(other, body={**other.body, "isDefault": False}))


def _kept_once_published(flow: Entity) -> str | None:
    if not flow.body.get("publishedVersions"):
        return None
    return "this flow has been published, and traces refer to it: set its status to archived instead"


DECISION_FLOW = EntityKind(
    name=_KIND,
    noun="decision flow",
    path="decision-flows",
    create=NewDecisionFlow,
    example={
        "key": "welcome-nba",
        "name": "Welcome offers",
        "draftConfig": {
            "version": 2,
            "nodes": [
                {"id": "inventory", "type": "inventory"},
                {"id": "score", "type": "score", "config": {"method": "priority_weighted"}},
                {"id": "rank", "type": "rank", "config": {"method": "topN", "maxCandidates": 5}},
                {"id": "response", "type": "response"},
            ],
        },
    },
    order=ListOrder.STATUS,
    derived_fields={"published_versions": list[dict[str, Any]], "protected": bool},
    prepare=_with_publications,
    problems=_flow_problems,
    settle=_settle_default,
    kept=_kept_once_published,
)
