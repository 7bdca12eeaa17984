"""Publishing: making a flow's draft its live version, everywhere within a second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entity, EntityWriter
from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.read_entity import require
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.decisioning.flow_references import reference_problems
from kaireon_application.errors import Conflict, InvalidInput
from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction
from kaireon_core.decisioning.call_flow import caller_problems, inline_calls
from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.problems import InvalidValue, Problem
from kaireon_runtime.logs import logger


class PublishedVersion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A version that was published."""

    version: int
    published_at: datetime
    notes: str | None
    config: dict[str, Any]


class LiveVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of a published flow, and the flow's status."""

    key: str
    status: str
    config: dict[str, Any]


class FlowWriter(EntityWriter, Protocol):
    """Writes one tenant's things and the versions of its flows inside one transaction."""

    async def live_versions(self) -> list[LiveVersion]:
        """Return the newest version of every published flow."""
        ...

    async def take_publish_approval(self, flow: Entity, *, as_it_is: bool) -> None:
        """Use up one approval of publishing the flow in its row version, where the tenant demands approvals.

        Nothing approves a publication of anything else than the flow's stored draft (`as_it_is`). Raises
        `ApprovalRequired`.
        """
        ...

    async def add_version(self, flow_id: UUID, config: dict[str, Any], notes: str | None) -> PublishedVersion:
        """Store the next version of a flow."""
        ...


class FlowVersions(Protocol):
    """The published versions of flows. Every method raises `Unavailable` while the storage is away."""

    def writing(self, tenant_id: UUID, actor: Actor) -> AbstractAsyncContextManager[FlowWriter]:
        """Open a transaction in which this actor writes, and which raises the tenant's `config_version`."""
        ...

    async def list(self, tenant_id: UUID, flow_id: UUID) -> list[PublishedVersion]:
        """Return every version of a flow, newest first."""
        ...


async def publish_flow(
    flows: FlowVersions, caller: Caller, reference: str, notes: str | None, row_version: int | None
) -> tuple[Entity, PublishedVersion]:
    """Make the draft the next version.

    Raises `NotFound`, `Conflict` for a stale row version or one that was not approved, `InvalidInput`.
    """
    async with flows.writing(caller.tenant_id, caller.actor) as writer:
        entity = await require(writer, DECISION_FLOW.name, reference)
        if row_version is not None and row_version != entity.row_version:
            raise Conflict("this flow has changed meanwhile; read it again and publish what you have seen")
        return await publish_draft(writer, entity, notes)


async def publish_draft(writer: FlowWriter, entity: Entity, notes: str | None) -> tuple[Entity, PublishedVersion]:
    """Publish the draft inside an open transaction. Raises `ApprovalRequired` where the tenant wants it approved."""
    await writer.take_publish_approval(entity, as_it_is=True)
    return await publish_config(writer, entity, entity.body["draftConfig"], notes)


async def publish_config(
    writer: FlowWriter, entity: Entity, config: dict[str, Any], notes: str | None, status: str = "active"
) -> tuple[Entity, PublishedVersion]:
    """Make a configuration the next version, with the flow as it is given and in this status; the draft may differ."""
    try:
        flow = parse_flow(config, FlowKind.PUBLISHED, "$.draftConfig")
    except InvalidValue as error:
        raise InvalidInput("the flow cannot be published", error.problems) from None
    problems = [*await reference_problems(writer, flow), *await call_problems(writer, entity.key, flow)]
    if problems:
        raise InvalidInput("the flow cannot be published", tuple(problems))
    version = await writer.add_version(entity.id, config, notes)
    listed = {"version": version.version, "publishedAt": version.published_at.isoformat(), "notes": notes}
    body = {
        **entity.body,
        "publishedVersions": [*entity.body.get("publishedVersions", []), listed],
        "protected": True,
    }
    published = msgspec.structs.replace(entity, status=status, body=body)
    return await writer.update(published, AuditAction.PUBLISH), version


async def call_problems(writer: FlowWriter, key: str, flow: Flow) -> list[Problem]:
    """Return what is wrong with the calls of a flow, and with those of it by other flows."""
    versions = await writer.live_versions()
    active = dict(readable_flows((one.key, one.config) for one in versions if one.status == "active"))
    try:
        inline_calls(flow, active, key, "$.draftConfig")
    except InvalidValue as error:
        return list(error.problems)
    message = "the flow '{}' calls this one and could not run any more: {}"
    return [
        Problem(path="$.draftConfig.nodes", message=message.format(caller, problem))
        for caller, problem in caller_problems(key, flow, active)
    ]


def readable_flows(configs: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, Flow]]:
    """Yield the published flows by key; what a later release wrote and this one cannot read is left out."""
    for key, config in configs:
        try:
            # A version was checked strictly when it was published.
            yield key, parse_flow(config, FlowKind.DRAFT)
        except InvalidValue as error:
            logger("kaireon.flows").error("a flow cannot be read", flowKey=key, reason=str(error))
