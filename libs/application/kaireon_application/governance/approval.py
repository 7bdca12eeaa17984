"""Approvals: somebody asks for a change, others let it pass stage by stage, and then it is made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_application.catalog.entities import EntityWriter
from kaireon_application.catalog.fields import EntityRef, Label, Name, OpenObject
from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction

PENDING_FOR = timedelta(days=7)
PUBLISH_WITHIN = timedelta(hours=24)


class ApprovalStatus(StrEnum):
    """Where a request stands; what was approved to be published expires when nobody does it."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class RequestedAction(StrEnum):
    """What is asked for. `publish` is done by whoever publishes afterwards, once; the others by the last approval."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PUBLISH = "publish"


class ApprovalRole(StrEnum):
    """Who may approve a stage, at least, lowest first; deciding at all takes an editor."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class Verdict(StrEnum):
    """How somebody decides a stage."""

    APPROVE = "approve"
    REJECT = "reject"


class StageForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One stage, as it is asked for."""

    stage_name: Label
    required_role: ApprovalRole = ApprovalRole.ADMIN


class ApprovalForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request; `payload` is the body of the call that it stands for."""

    entity_type: Label
    entity_name: Name
    action: RequestedAction
    entity_id: EntityRef | None = None
    payload: OpenObject = {}
    stages: Annotated[list[StageForm], Meta(min_length=1, max_length=10)] = msgspec.field(
        default_factory=lambda: [StageForm(stage_name="admin")]
    )


class DecisionForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody says of the stage that is open."""

    action: Verdict
    comments: Annotated[str, Meta(max_length=10_000)] | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One stage: open while `status` is pending and all before it are approved."""

    stage_name: str
    required_role: ApprovalRole
    status: ApprovalStatus = ApprovalStatus.PENDING
    decided_by: str | None = None
    decided_by_name: str | None = None
    decided_at: datetime | None = None
    comments: str | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request and what was said of it."""

    id: UUID
    entity_type: str
    entity_id: str | None
    entity_version: int | None
    entity_name: str
    action: RequestedAction
    payload: dict[str, Any]
    stages: tuple[Stage, ...]
    status: ApprovalStatus
    requested_by: str
    requested_by_name: str
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    used_at: datetime | None = None


class ApprovalPosition(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a page ended."""

    at: datetime
    id: UUID


class ApprovalWriter(EntityWriter, Protocol):
    """Reads and writes the tenant's requests inside the transaction in which it writes its things."""

    async def approval(self, id: UUID) -> Approval | None:
        """Return a request."""
        ...

    async def add_approval(self, approval: Approval) -> None:
        """Store a new request and note it in the audit log."""
        ...

    async def change_approval(self, before: Approval, after: Approval, action: AuditAction) -> None:
        """Store how far a request is now and note it in the audit log as this."""
        ...

    async def stored_settings(self) -> dict[str, Any]:
        """Return what the tenant has set; nobody changes it before this transaction ends."""
        ...


class Approvals(Protocol):
    """The requests of tenants. Every method raises `Unavailable` while the storage is away."""

    def writing(self, tenant_id: UUID, actor: Actor) -> AbstractAsyncContextManager[ApprovalWriter]:
        """Open a transaction in which this actor writes; the writers of a tenant go one after another."""
        ...

    async def get(self, tenant_id: UUID, id: UUID) -> Approval | None:
        """Return a request."""
        ...

    async def page(
        self, tenant_id: UUID, status: ApprovalStatus, after: ApprovalPosition | None, limit: int
    ) -> tuple[Sequence[Approval], int]:
        """Return requests of a status, newest first, and how many there are in all."""
        ...

    async def expire(self, now: datetime) -> int:
        """Close what was neither decided nor published in time, of all tenants; return how many."""
        ...
