"""Decision flows: drafts, publishing, versions, the base flow."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kaireon_api.catalog.crud import caller, finder, operations
from kaireon_api.operation import ITEM_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.fields import EntityRef
from kaireon_application.catalog.forms import view_form
from kaireon_application.catalog.read_entity import get_entity, view
from kaireon_application.decisioning.apply_lifecycle import AppliedNode, LifecycleRequest, apply_lifecycle
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.decisioning.ensure_base_flow import ensure_base_flow
from kaireon_application.decisioning.publish_flow import publish_flow
from kaireon_application.errors import InvalidInput, NotFound

Notes = Annotated[str, Meta(max_length=10_000)]
RowVersion = Annotated[int, Meta(ge=1)]


class PublishForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Publishes the draft as it is, or as it was when `row_version` was read."""

    notes: Notes | None = None
    row_version: RowVersion | None = None


class PublishByNameForm(PublishForm, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The same for a flow named in the body."""

    id: EntityRef | None = None
    key: EntityRef | None = None


class Published(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The version that decides from now on."""

    flow_id: str
    version: int


class EnsuredFlow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The base flow, and whether this call created it."""

    flow_id: str
    created: bool


# The flow as it is now, what was set in its score node, and the version that was published, null for none.
AppliedLifecycleAnswer = msgspec.defstruct(
    "AppliedLifecycle",
    [
        ("flow", view_form(DECISION_FLOW)),
        ("applied", AppliedNode),
        ("family", str),
        ("warnings", list[str]),
        ("published_version", int | None),
    ],
    rename="camel",
    kw_only=True,
)


class VersionAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One published version; the configuration only when one version was asked for."""

    version: int
    published_at: datetime
    notes: str | None
    summary: dict[str, Any]
    config_snapshot: dict[str, Any] | None = None


class Versions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The versions of a flow, newest first."""

    flow_id: str
    versions: list[VersionAnswer]


class VersionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of the list of versions."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class VersionsQuery(VersionQuery, frozen=True, kw_only=True):
    """The query string of the documented older form."""

    id: EntityRef | None = None


async def _publish(call: Call[PublishForm]) -> Reply:
    return await _publish_named(call, call.path["id"], call.body)


async def _publish_by_name(call: Call[PublishByNameForm]) -> Reply:
    name, reference = ("id", call.body.id) if call.body.id is not None else ("key", call.body.key)
    if reference is None:
        raise InvalidInput.at("$.id", "is required, or key")
    try:
        return await _publish_named(call, reference, call.body)
    except NotFound as error:
        raise NotFound.reference(f"$.{name}", error.message) from None


async def _publish_named(call: Call[Any], reference: str, form: PublishForm) -> Reply:
    services = call.services
    flow, version = await publish_flow(services.engine.flows, caller(call), reference, form.notes, form.row_version)
    services.engine.snapshots.invalidate(str(call.tenant_id))
    return Reply(content=Published(flow_id=str(flow.id), version=version.version))


async def _apply_lifecycle(call: Call[LifecycleRequest]) -> Reply:
    engine = call.services.engine
    done = await apply_lifecycle(engine.flows, caller(call), call.path["id"], call.body)
    if done.published_version is not None:
        engine.snapshots.invalidate(str(call.tenant_id))
    return Reply(
        content={
            "flow": view(call.tenant_id, DECISION_FLOW, done.flow),
            "applied": done.applied,
            "family": done.family,
            "warnings": done.warnings,
            "publishedVersion": done.published_version,
        }
    )


async def _ensure_base(call: Call[None]) -> Reply:
    flow, created = await ensure_base_flow(call.services.engine.flows, call.tenant_id, call.actor)
    if created:
        call.services.engine.snapshots.invalidate(str(call.tenant_id))
    return Reply(content=EnsuredFlow(flow_id=str(flow.id), created=created), status=201 if created else 200)


async def _versions(call: Call[None]) -> Reply:
    return await _versions_of(call, call.path["id"])


async def _versions_by_query(call: Call[None]) -> Reply:
    reference: str | None = call.params.id
    if reference is None:
        raise InvalidInput.at("query.id", "id is required")
    return await _versions_of(call, reference)


async def _versions_of(call: Call[None], reference: str) -> Reply:
    flow = await get_entity(call.services.entities, call.tenant_id, DECISION_FLOW.name, reference)
    wanted: int | None = call.params.version
    found = await call.services.engine.flows.list(call.tenant_id, flow.id)
    versions = [
        VersionAnswer(
            version=one.version,
            published_at=one.published_at,
            notes=one.notes,
            summary=_summary(one.config),
            config_snapshot=None if wanted is None else one.config,
        )
        for one in found
        if wanted in (None, one.version)
    ]
    if wanted is not None and not versions:
        message = f"the flow '{flow.key}' has no version {wanted}"
        raise NotFound(message)
    return Reply(content=Versions(flow_id=str(flow.id), versions=versions))


def _summary(config: dict[str, Any]) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = config.get("nodes", [])
    settings: list[dict[str, Any] | None] = [node.get("config") for node in nodes if node.get("type") == "score"]
    method = settings[0].get("method") if settings and settings[0] else None
    return {"nodeCount": len(nodes), "scoringMethod": method}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/decision-flows/ensure-base",
        role=Role.EDITOR,
        handler=_ensure_base,
        summary="Create and publish the base flow unless it exists",
        answers={200: EnsuredFlow, 201: EnsuredFlow, 401: None, 403: None, 503: None},
    ),
    Operation(
        method="POST",
        path="/api/v1/decision-flows/publish",
        role=Role.EDITOR,
        handler=_publish_by_name,
        summary="Publish a flow's draft, the flow named in the body",
        body=PublishByNameForm,
        example={"key": "welcome-nba", "notes": "first version"},
        answers={200: Published, **WRITE_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/decision-flows/versions",
        role=Role.VIEWER,
        handler=_versions_by_query,
        summary="List the published versions of the flow that `id` names",
        query=VersionsQuery,
        answers={200: Versions, **ITEM_ERRORS},
    ),
    *operations(DECISION_FLOW),
    Operation(
        method="POST",
        path="/api/v1/decision-flows/{id}/publish",
        role=Role.EDITOR,
        handler=_publish,
        summary="Publish a flow's draft: live in every process within a second",
        body=PublishForm,
        example={"notes": "first version"},
        is_body_optional=True,
        find=finder(DECISION_FLOW),
        answers={200: Published, **WRITE_ERRORS},
    ),
    Operation(
        method="POST",
        path="/api/v1/decision-flows/{id}/apply-lifecycle",
        role=Role.EDITOR,
        handler=_apply_lifecycle,
        summary="Fill the draft's score node with champion, challengers and shadows",
        body=LifecycleRequest,
        example={"family": "premium_card", "championWeight": 80},
        is_body_optional=True,
        find=finder(DECISION_FLOW),
        answers={200: AppliedLifecycleAnswer, **WRITE_ERRORS, 422: None},
    ),
    Operation(
        method="GET",
        path="/api/v1/decision-flows/{id}/versions",
        role=Role.VIEWER,
        handler=_versions,
        summary="List a flow's published versions",
        query=VersionQuery,
        answers={200: Versions, **ITEM_ERRORS},
    ),
)
